"""Seals cover every record that has committed, and show which one was changed, taken out or added."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import asyncpg
import pytest

from database.connections import Database
from database.trail.signatures import Signatures
from tests.connections import Connection
from tests.trail.conftest import SIGNATURES, Scene
from tests.waiting import until
from trail.exports import append_heads, exported_heads, lines_of
from trail.postgres.seals import newest_heads, seal_trails
from trail.postgres.unsealed import UnsealedReads
from trail.postgres.verification import verify_trails

SEALED = "SELECT coalesce(array_agg(id), '{}') FROM (SELECT unnest(record_ids) AS id FROM trail_seals) sealed"


@pytest.fixture
async def tamper(owner: Connection) -> Callable[[str], Awaitable[object]]:
    """Run a statement as a superuser who has switched the triggers off."""
    await owner.execute("SET session_replication_role = replica")
    return owner.execute


async def found(database: Database, *, full: bool = False) -> list[tuple[str, str]]:
    return [(one.invariant, one.subject) for one in await verify_trails(database, SIGNATURES, full=full)]


async def test_a_seal_covers_every_record_once(sealed: Scene, database: Database, owner: Connection) -> None:
    assert await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM audit_records") == await owner.fetchval(SEALED)
    seals = await owner.fetchval("SELECT count(*) FROM trail_seals")
    await seal_trails(database, SIGNATURES)
    assert await owner.fetchval("SELECT count(*) FROM trail_seals") == seals, "nothing was left to seal"
    assert await verify_trails(database, SIGNATURES) == []


async def test_a_record_that_commits_late_is_not_passed_over(
    sealed: Scene, database: Database, database_url: str, owner: Connection
) -> None:
    slow = await asyncpg.connect(database_url)
    late = slow.transaction()
    await late.start()
    await slow.execute("UPDATE accounts SET tier = 2 WHERE id = $1", sealed.account_id)
    await seal_trails(database, SIGNATURES)  # its transaction is the newest of all
    await owner.execute("UPDATE customers SET disabled_at = now() WHERE id = $1", sealed.owner_id)
    await seal_trails(database, SIGNATURES)
    waiting = "SELECT count(*) FROM audit_records WHERE id <> ALL ($1)"
    assert await owner.fetchval(waiting, await owner.fetchval(SEALED)) == 1, "the slow transaction may still commit"
    assert (await UnsealedReads(database).longest_seconds())["audit_records"] > 0
    await late.commit()
    await slow.close()
    await seal_trails(database, SIGNATURES)
    assert await owner.fetchval(waiting, await owner.fetchval(SEALED)) == 0
    assert await UnsealedReads(database).longest_seconds() == {"audit_records": 0, "request_records": 0}
    assert await verify_trails(database, SIGNATURES) == []


async def test_two_sealers_at_once_make_one_chain(scene: Scene, database: Database, owner: Connection) -> None:
    await asyncio.gather(*(seal_trails(database, SIGNATURES) for _ in range(3)))
    await seal_trails(database, SIGNATURES)
    assert await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM audit_records") == await owner.fetchval(SEALED)
    assert await verify_trails(database, SIGNATURES, full=True) == []


async def test_sealing_goes_on_after_the_books_were_restored_on_another_server(
    sealed: Scene, database: Database, owner: Connection
) -> None:
    await owner.execute("UPDATE accounts SET tier = 2 WHERE id = $1", sealed.account_id)
    await owner.execute(
        "UPDATE trail_positions SET waiting_through = (SELECT max(id) FROM audit_records), waiting_xid = 1 << 40"
    )
    await seal_trails(database, SIGNATURES)
    assert await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM audit_records") == await owner.fetchval(SEALED)


async def test_a_changed_record_is_named(
    sealed: Scene, database: Database, tamper: Callable[[str], Awaitable[object]], owner: Connection
) -> None:
    record = await owner.fetchval("SELECT max(id) FROM audit_records WHERE kind = 'transfer.completed'")
    for column, value in (
        ("kind", "'transfer.failed'"),
        ("actor_id", "'cus_x'"),
        ("reason", "'none'"),
        ("after", "'{}'"),
        ("recorded_at", "recorded_at + interval '1 microsecond'"),
        ("request_id", "'req_x'"),
        ("address", "'192.0.2.1'"),
    ):
        kept = await owner.fetchrow("SELECT * FROM audit_records WHERE id = $1", record)
        assert kept is not None
        await tamper(f"UPDATE audit_records SET {column} = {value} WHERE id = {record}")
        assert await found(database) == [("trail_record_changed", f"audit_records {record}")], column
        await owner.execute(f"UPDATE audit_records SET {column} = $2 WHERE id = $1", record, kept[column])
    assert await found(database) == []


async def test_a_deleted_record_is_named_and_an_added_one(
    sealed: Scene, database: Database, tamper: Callable[[str], Awaitable[object]], owner: Connection
) -> None:
    ids = await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM audit_records")
    await tamper(f"DELETE FROM audit_records WHERE id = {ids[1]}")
    assert await found(database) == [("trail_record_missing", f"audit_records {ids[1]}")]
    await tamper("INSERT INTO audit_records (id, kind, outcome, subject) VALUES (0, 'x', 'done', 'y')")
    await tamper(
        f"INSERT INTO audit_records (id, kind, outcome, subject) VALUES ({ids[1]}, 'account.opened', 'done', 'y')"
    )
    assert ("trail_record_changed", f"audit_records {ids[1]}") in await found(database, full=True)


async def test_a_broken_or_missing_seal_is_named(
    sealed: Scene, database: Database, tamper: Callable[[str], Awaitable[object]], owner: Connection
) -> None:
    await owner.execute("SET session_replication_role = origin")
    await owner.execute("UPDATE accounts SET tier = 2 WHERE id = $1", sealed.account_id)
    await seal_trails(database, SIGNATURES)
    await owner.execute("SET session_replication_role = replica")
    await tamper("UPDATE trail_seals SET sealed_at = sealed_at - interval '1 day' WHERE number = 2")
    assert await found(database) == [("trail_seal", "audit_records/2")]
    await tamper("DELETE FROM trail_seals WHERE number = 1")
    assert ("trail_seal_missing", "audit_records/1") in await found(database)


async def test_records_that_are_sealed_during_a_verification_are_not_called_added(
    sealed: Scene, database: Database, owner: Connection
) -> None:
    class OwnersTransaction:
        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Connection]:
            yield owner

    waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'trail_positions'::regclass"
    await owner.execute("UPDATE accounts SET tier = 2 WHERE id = $1", sealed.account_id)
    await owner.execute(
        "UPDATE trail_positions SET waiting_through = (SELECT max(id) FROM audit_records), "
        "waiting_xid = pg_current_xact_id()::text::bigint WHERE trail = 'audit_records'"
    )
    async with owner.transaction():
        await owner.execute("LOCK TABLE trail_positions")
        verifying = asyncio.create_task(found(database))
        await until(lambda: owner.fetchval(waiting), "it wants to know how far records are sealed", 5)
        await seal_trails(cast("Database", OwnersTransaction()), SIGNATURES)
    assert await verifying == []


async def test_a_seal_of_somebody_without_the_key_is_named(sealed: Scene, database: Database) -> None:
    strangers = Signatures(["a key that somebody else has drawn at random"])
    assert [one.invariant for one in await verify_trails(database, strangers)] == ["trail_signature"]


async def test_seals_that_were_taken_off_the_end_are_missed_by_the_exported_head(
    sealed: Scene,
    database: Database,
    tamper: Callable[[str], Awaitable[object]],
    tmp_path: Path,
) -> None:
    append_heads(lines_of(await newest_heads(database), SIGNATURES.public_key), tmp_path)
    heads = exported_heads(tmp_path)
    assert await verify_trails(database, SIGNATURES, heads) == []
    await tamper("DELETE FROM trail_seals")
    await tamper("DELETE FROM audit_records")
    await tamper("UPDATE trail_positions SET sealed_through = 0")
    assert await found(database) == [], "the database alone cannot show it"
    assert [one.invariant for one in await verify_trails(database, SIGNATURES, heads)] == ["trail_head"]


async def test_a_record_has_the_hash_that_the_documentation_says(sealed: Scene, owner: Connection) -> None:
    row = await owner.fetchrow(
        "SELECT jsonb_build_array(id, (extract(epoch FROM recorded_at) * 1000000)::bigint, kind, outcome, subject, "
        "actor_id, transfer_id, workflow_id, code, reason, before, after, request_id, address)::text AS text, id "
        "FROM audit_records ORDER BY id LIMIT 1"
    )
    seal = await owner.fetchrow("SELECT record_ids, record_hashes FROM trail_seals ORDER BY number LIMIT 1")
    assert row is not None
    assert seal is not None
    assert seal["record_ids"][0] == row["id"]
    assert seal["record_hashes"][:32] == hashlib.sha256(row["text"].encode()).digest()
