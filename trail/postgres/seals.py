"""Seals the records of a trail, behind the transactions that write them.

A record gets its id before its transaction commits, so records become visible in another order than that of their ids.
A sealer reads the last id that was given out and then takes a transaction's id of its own. Once no older transaction
runs, every record up to that id has committed or never will. Nothing is chained inside of a transaction that moves
money.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, Unavailable
from database.trail.signatures import Signatures
from trail.postgres.tables import TRAILS, hash_of_record
from trail.seal import Head, Seal, first_of_all

if TYPE_CHECKING:
    from database.connections import Connection

# One seal covers at most so many records, and takes some milliseconds.
RECORDS_AT_ONCE = 1_000

# One process seals at a time, the others skip.
_LOCK = """
    SELECT sealed_through, waiting_through, waiting_xid FROM trail_positions WHERE trail = $1
    FOR NO KEY UPDATE SKIP LOCKED
"""

# The oldest transaction that runs, and the one behind the last that ended. A sealer's transaction has ended: if its id
# is not among those before, it is that of another server, whose books were restored here. Then the wait begins anew.
_PRESENT = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next
"""

# Read before the sealer has a transaction's id, which the lock gives it. A transaction has its own id before its
# records have theirs, so who holds an id of a record up to this one has an id of a transaction below the sealer's.
# The end of a snapshot would not do: it is behind the last transaction that ended, and others behind it may run.
_LAST_GIVEN = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {trail}_id"

_WAIT = """
    UPDATE trail_positions SET waiting_through = $2, waiting_xid = pg_current_xact_id()::text::bigint WHERE trail = $1
"""
_SEALED = """
    UPDATE trail_positions SET sealed_through = $2,
        waiting_through = CASE WHEN waiting_through > $2 THEN waiting_through END,
        waiting_xid = CASE WHEN waiting_through > $2 THEN waiting_xid END
    WHERE trail = $1
"""

_NEXT_RECORDS = """
    SELECT r.id, date_trunc('month', r.recorded_at AT TIME ZONE 'UTC')::date AS month, {hash} AS hash
    FROM {trail} r WHERE r.id > $1 AND r.id <= $2 ORDER BY r.id LIMIT $3
"""

_LAST_SEAL = """
    SELECT number, hash, sealed_at, key, signature FROM trail_seals WHERE trail = $1 ORDER BY number DESC LIMIT 1
"""

_WRITE = """
    INSERT INTO trail_seals
        (trail, number, month, through_id, records, record_ids, record_hashes, previous, hash, key, signature,
            sealed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def seal_trails(database: Database, signatures: Signatures) -> None:
    """Seal every record that was committed before this call, unless an older transaction still runs.

    Safe to run in every process and to repeat after any error. Raises `Unavailable` where PostgreSQL gave no answer or
    refused, as with an older schema: what is not sealed is sealed later.
    """
    for trail in TRAILS:
        try:
            while await _seal_some(database, signatures, trail):
                pass
        except asyncpg.PostgresError as error:
            raise Unavailable(f"PostgreSQL refuses to seal {trail}: {error}") from error


async def newest_heads(database: Database) -> list[Head]:
    """The newest seal of each trail that has one."""
    async with database.connection() as connection:
        found = [(trail, await connection.fetchrow(_LAST_SEAL, trail)) for trail in TRAILS]
    return [
        Head(trail, row["number"], row["hash"].hex(), row["sealed_at"], row["key"], row["signature"].hex())
        for trail, row in found
        if row is not None
    ]


async def _seal_some(database: Database, signatures: Signatures, trail: str) -> bool:
    """Seal a part, or note what to wait for. Whether more can be done now."""
    async with database.transaction() as connection:
        last = await connection.fetchval(_LAST_GIVEN.format(trail=trail))
        place = await connection.fetchrow(_LOCK, trail)
        if place is None:
            return False
        through, waiting = place["sealed_through"], place["waiting_through"]
        if waiting is None:
            if last <= through:
                return False
            await connection.execute(_WAIT, trail, last)
            return True
        now = await connection.fetchrow(_PRESENT)
        assert now is not None
        if place["waiting_xid"] >= now["next"]:
            await connection.execute(_WAIT, trail, waiting)
            return True
        if place["waiting_xid"] > now["oldest"]:
            return False
        rows = await connection.fetch(
            _NEXT_RECORDS.format(trail=trail, hash=hash_of_record(TRAILS[trail])), through, waiting, RECORDS_AT_ONCE
        )
        months = [row["month"] for row in rows]
        alike = next((place for place, month in enumerate(months) if month != months[0]), len(rows))
        is_last = alike == len(rows) < RECORDS_AT_ONCE
        until = waiting if is_last else rows[alike - 1]["id"]
        if rows:
            part = rows[:alike]
            hashes = b"".join(row["hash"] for row in part)
            await _write(connection, signatures, trail, months[0], until, [row["id"] for row in part], hashes)
        await connection.execute(_SEALED, trail, until)
        return True


async def _write(
    connection: "Connection",
    signatures: Signatures,
    trail: str,
    month: date,
    through_id: int,
    record_ids: list[int],
    record_hashes: bytes,
) -> None:
    before = await connection.fetchrow(_LAST_SEAL, trail)
    number, previous = (before["number"] + 1, before["hash"]) if before else (1, first_of_all(trail))
    sealed_at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    seal = Seal(trail, number, month, through_id, record_ids, record_hashes, previous, sealed_at)
    digest = seal.digest
    await connection.execute(
        _WRITE,
        trail,
        number,
        month,
        through_id,
        len(record_ids),
        record_ids,
        record_hashes,
        previous,
        digest,
        signatures.key,
        signatures.sign(digest),
        sealed_at,
    )
