"""Proves the trails: every record is as it was sealed, none is gone or was added, and every seal follows its signature.

It reads, writes nothing and takes no lock. One statement may take minutes: the database's limits are those of proofs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, NoSchema, Unavailable
from database.rows import dataclass_of
from database.trail.signatures import Signatures
from trail.postgres.tables import TRAILS, hash_of_record
from trail.seal import Head, Seal, first_of_all

if TYPE_CHECKING:
    from database.connections import Connection

# What is looked at unless everything is: so many seals back, and so many records.
RECENT_SEALS = 5_000
RECENT_RECORDS = 200_000

SEALS_AT_ONCE = 50

# Whoever finds so much stops: a list without end helps nobody.
MOST_FINDINGS = 1_000

_SIZES = "SELECT number, records FROM trail_seals WHERE trail = $1 ORDER BY number DESC LIMIT $2"
_BEFORE = "SELECT through_id, hash FROM trail_seals WHERE trail = $1 AND number < $2 ORDER BY number DESC LIMIT 1"
_SEALS = "SELECT * FROM trail_seals WHERE trail = $1 AND number >= $2 ORDER BY number LIMIT $3"
_RECORDS = "SELECT r.id, {hash} AS hash FROM {trail} r WHERE r.id > $1 AND r.id <= $2"
_SEALED_THROUGH = "SELECT sealed_through FROM trail_positions WHERE trail = $1"
_HEAD = "SELECT hash FROM trail_seals WHERE trail = $1 AND number = $2"

# Months are dropped in their order, and each drop is a record. No drop takes a month that PostgreSQL keeps whatever it
# is asked for: a record that says so is forged, and excuses nothing.
_DROPPED = """
    SELECT max(after ->> 'month')::date FROM audit_records
    WHERE kind = 'trail.month_dropped' AND subject = $1 AND after ->> 'month' < to_char(
        date_trunc('month', now()) - make_interval(months => CASE $1 WHEN 'audit_records' THEN 12 ELSE 1 END),
        'YYYY-MM-DD')
"""


@dataclass(frozen=True, slots=True)
class TrailFinding:
    """What does not hold of a trail: the rule, the record or seal, and what was found there."""

    invariant: str
    subject: str
    detail: str


async def verify_trails(
    database: Database, signatures: Signatures | None, heads: Sequence[Head] = (), *, full: bool = False
) -> list[TrailFinding]:
    """What does not hold, in order; with `full` of all records, else of the last ones. Nothing: the trails are whole.

    `heads` are those that were exported. Without `signatures`, seals are not compared with theirs. Raises `NoSchema`
    if tables are missing, and `Unavailable` where PostgreSQL gave no answer.
    """
    try:
        async with database.connection() as connection:
            found = [
                finding for trail in TRAILS for finding in await _findings(connection, trail, signatures, full=full)
            ]
            for head in heads:
                kept = await connection.fetchval(_HEAD, head.trail, head.number)
                if kept is None or kept.hex() != head.hash:
                    what = "is not in the database" if kept is None else "is another one in the database"
                    place = f"{head.trail}/{head.number}"
                    found.append(TrailFinding("trail_head", place, f"the exported seal {head.hash[:16]}… {what}"))
            return found
    except asyncpg.UndefinedTableError as error:
        raise NoSchema(f"The database does not have the schema of this version ({error}): run `remit migrate`.") from (
            error
        )
    except asyncpg.InsufficientPrivilegeError as error:
        raise Unavailable(f"The role may not read the trails: {error}.") from error


async def _findings(
    connection: "Connection", trail: str, signatures: Signatures | None, *, full: bool
) -> list[TrailFinding]:
    # Read before the seals. Whatever is sealed meanwhile is not looked at.
    sealed_through = await connection.fetchval(_SEALED_THROUGH, trail) or 0
    chain = _Chain(trail, signatures)
    number = 1 if full else await _first_recent(connection, trail)
    before = await connection.fetchrow(_BEFORE, trail, number)
    if before is not None:
        chain.follow(number - 1, before["through_id"], before["hash"])
    query = _RECORDS.format(trail=trail, hash=hash_of_record(TRAILS[trail]))
    while len(chain.found) < MOST_FINDINGS:
        rows = await connection.fetch(_SEALS, trail, chain.number + 1, SEALS_AT_ONCE)
        if not rows:
            break
        records = await connection.fetch(query, chain.through_id, rows[-1]["through_id"])
        # Read after the records, which a drop may take away meanwhile.
        dropped = await connection.fetchval(_DROPPED, trail)
        chain.check(rows, {row["id"]: row["hash"] for row in records}, dropped)
    unsealed = await connection.fetch(query, chain.through_id, sealed_through)
    chain.check_none(row["id"] for row in unsealed)
    return chain.found


async def _first_recent(connection: "Connection", trail: str) -> int:
    records, first = 0, 1
    for row in await connection.fetch(_SIZES, trail, RECENT_SEALS):
        records, first = records + row["records"], row["number"]
        if records >= RECENT_RECORDS:
            break
    return first


class _Chain:
    """The seals of one trail, looked at in their order."""

    def __init__(self, trail: str, signatures: Signatures | None) -> None:
        self._trail = trail
        self._signatures = signatures
        self._hash = first_of_all(trail)
        self.number = 0
        self.through_id = 0
        self.found: list[TrailFinding] = []

    def follow(self, number: int, through_id: int, hash_: bytes) -> None:
        """Go on behind this seal."""
        self.number, self.through_id, self._hash = number, through_id, hash_

    def check(self, rows: Sequence[asyncpg.Record], records: dict[int, bytes], dropped: date | None) -> None:
        """The next seals, and the hashes of the records that are there now. Months up to `dropped` may be gone."""
        ids = iter(sorted(records))
        current = next(ids, None)
        for row in rows:
            seal = dataclass_of(Seal, row)
            self._check_seal(seal, row)
            here: dict[int, bytes] = {}
            while current is not None and current <= seal.through_id:
                here[current] = records[current]
                current = next(ids, None)
            self._check_records(seal, here, is_dropped=dropped is not None and seal.month <= dropped)
            self.follow(seal.number, seal.through_id, row["hash"])

    def _check_seal(self, seal: Seal, row: asyncpg.Record) -> None:
        place = f"{self._trail}/{seal.number}"
        if seal.number != self.number + 1:
            gone = f"{self._trail}/{self.number + 1}"
            self._add("trail_seal_missing", gone, f"the next seal after {self.number} is {seal.number}")
        elif seal.previous != self._hash:
            self._add("trail_chain", place, "it does not follow the seal before it")
        if seal.digest != row["hash"]:
            self._add("trail_seal", place, "its contents do not have its hash")
        if self._signatures is not None:
            objection = self._signatures.objection_to(row["hash"], row["signature"], row["key"])
            if objection is not None:
                self._add("trail_signature", place, objection)

    def _check_records(self, seal: Seal, here: dict[int, bytes], *, is_dropped: bool) -> None:
        sealed = seal.hashes
        for id_, hash_ in sealed.items():
            if id_ not in here:
                if not is_dropped:
                    self._add("trail_record_missing", f"{self._trail} {id_}", f"seal {seal.number} covers it")
            elif here[id_] != hash_:
                self._add("trail_record_changed", f"{self._trail} {id_}", f"it is not what seal {seal.number} covers")
        self.check_none(id_ for id_ in here if id_ not in sealed)

    def check_none(self, ids: Iterator[int]) -> None:
        """These records are older than seals, and no seal covers them."""
        for id_ in ids:
            self._add("trail_record_added", f"{self._trail} {id_}", "no seal covers it, and later ones are sealed")

    def _add(self, invariant: str, subject: str, detail: str) -> None:
        if len(self.found) < MOST_FINDINGS:
            self.found.append(TrailFinding(invariant, subject, detail))
