"""The partitions of the trails: made ahead of time, and dropped only when old, sealed and noted."""

import asyncio
import json
from contextlib import suppress

import asyncpg

from database.connections import Database
from tests.connections import Connection
from tests.trail.conftest import SIGNATURES, Scene
from tests.waiting import until
from trail.postgres.months import Retention, drop_old_months, make_months
from trail.postgres.sealer import keep_trail
from trail.postgres.seals import seal_trails
from trail.postgres.verification import verify_trails

PARTITIONS = (
    "SELECT array_agg(inhrelid::regclass::text ORDER BY 1) FROM pg_inherits WHERE inhparent = $1::text::regclass"
)


async def old_month(owner: Connection, trail: str, months: int) -> str:
    """A partition of so many months ago, as a worker made it then."""
    row = await owner.fetchrow(
        "SELECT first, (first + interval '1 month')::date AS after FROM "
        "(SELECT date_trunc('month', now() - make_interval(months => $1))::date AS first) found",
        months,
    )
    assert row is not None
    first, after = row
    name = f"{trail}_{first:%Y_%m}"
    await owner.execute(f"CREATE TABLE {name} (LIKE {trail} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    await owner.execute(f"ALTER TABLE {trail} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{after}')")
    return name


async def written_then(owner: Connection, months: int) -> None:
    await owner.execute(
        "INSERT INTO audit_records (kind, outcome, subject, recorded_at) "
        f"SELECT 'account.opened', 'done', 'acc_old', date_trunc('month', now() - make_interval(months => {months})) "
        "+ interval '3 days' FROM generate_series(1, 3)"
    )


async def test_this_month_and_the_next_three_are_ready(database: Database, owner: Connection) -> None:
    for trail in ("audit_records", "request_records"):
        before = await owner.fetchval(PARTITIONS, trail)
        assert len(before) == 5, "four months and the default one"
        await make_months(database)
        assert await owner.fetchval(PARTITIONS, trail) == before


async def test_records_are_sealed_while_no_month_can_be_made(
    scene: Scene, database: Database, owner: Connection
) -> None:
    last = (await owner.fetchval(PARTITIONS, "audit_records"))[-2]
    await owner.execute(f"DROP TABLE {last}")
    async with owner.transaction():
        await owner.execute("LOCK TABLE audit_records_default IN ACCESS SHARE MODE")  # as a dump of the books does
        keeping = asyncio.create_task(
            keep_trail(database, SIGNATURES, None, Retention(None, None), seal_seconds=60, export_seconds=60)
        )
        await until(lambda: owner.fetchval("SELECT count(*) > 0 FROM trail_seals"), "it seals", 5)
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    await make_months(database)
    assert last in await owner.fetchval(PARTITIONS, "audit_records")


async def test_an_old_month_is_dropped_once_it_is_sealed_and_the_rest_still_verifies(
    scene: Scene, database: Database, owner: Connection
) -> None:
    name, kept = await old_month(owner, "audit_records", 20), await old_month(owner, "audit_records", 9)
    await written_then(owner, 20)
    keep_a_year = Retention(audit_months=12, request_months=None)
    await drop_old_months(database, keep_a_year)
    assert name in await owner.fetchval(PARTITIONS, "audit_records"), "it is not sealed yet"
    await seal_trails(database, SIGNATURES)
    await drop_old_months(database, Retention(audit_months=None, request_months=None))
    assert name in await owner.fetchval(PARTITIONS, "audit_records"), "nothing is dropped unless a setting says so"
    async with owner.transaction():
        await owner.execute(f"LOCK TABLE ONLY {kept}")  # whoever counts its records under the lock waits
        await drop_old_months(database, keep_a_year)
    assert name not in await owner.fetchval(PARTITIONS, "audit_records")
    assert kept in await owner.fetchval(PARTITIONS, "audit_records")
    noted = await owner.fetchval("SELECT after FROM audit_records WHERE kind = 'trail.month_dropped'")
    assert json.loads(noted)["records"] == 3
    await seal_trails(database, SIGNATURES)
    assert await verify_trails(database, SIGNATURES, full=True) == []
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("DELETE FROM audit_records WHERE subject = $1", scene.account_id)
    await owner.execute(
        "INSERT INTO audit_records (kind, outcome, subject, after) "
        "VALUES ('trail.month_dropped', 'done', 'audit_records', jsonb_build_object('month', current_date))"
    )
    missing = {one.invariant for one in await verify_trails(database, SIGNATURES, full=True)}
    assert missing == {"trail_record_missing"}, "the drop excuses no other month, and a forged one nothing"


async def test_the_application_can_drop_no_year_of_the_audit_trail_whatever_it_asks_for(
    database: Database, owner: Connection
) -> None:
    name = await old_month(owner, "audit_records", 11)
    await drop_old_months(database, Retention(audit_months=0, request_months=0))
    assert name in await owner.fetchval(PARTITIONS, "audit_records")
    async with database.connection() as connection:
        for statement in (f"DROP TABLE {name}", "TRUNCATE audit_records"):
            try:
                await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            raise AssertionError(statement)
