"""Proof of the books: one audit at a time over all processes, and the totals."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, NoSchema, Unavailable
from ledger.fingerprints import Fingerprints
from ledger.postgres.proof.auditor import STATEMENT_SECONDS, Auditor, Note

if TYPE_CHECKING:
    from database.connections import Connection

AUDIT_TIMEOUT_SECONDS = 3600

# Any number: it only has to be the same in every process that audits.
_ADVISORY_LOCK = 7_265_420_114

# How far the audit is: advisory locks that nobody waits for, whose second number is how many accounts. Every session
# sees them, they cost no write, and they end with the audit, whatever ends it.
_ACCOUNTS_DONE, _ACCOUNTS_TOTAL = 7_265_421, 7_265_422

_NOTE_PROGRESS = """
    SELECT pg_advisory_lock_shared($1, $2), CASE WHEN $3::integer IS NOT NULL THEN pg_advisory_unlock_shared($1, $3) END
"""

# A key of 64 bits stands there in two halves.
_PROGRESS = f"""
    SELECT max(objid::bigint) FILTER (WHERE objsubid = 2 AND classid::bigint = {_ACCOUNTS_DONE}) AS accounts_done,
        max(objid::bigint) FILTER (WHERE objsubid = 2 AND classid::bigint = {_ACCOUNTS_TOTAL}) AS accounts_total
    FROM pg_locks
    WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    HAVING bool_or(objsubid = 1 AND (classid::bigint << 32) + objid::bigint = {_ADVISORY_LOCK})
"""

# A part of the books is planned for its own size, never for that of the parts before.
_SESSION = f"SET statement_timeout = '{STATEMENT_SECONDS}s'; SET plan_cache_mode = force_custom_plan"
_AS_BEFORE = "RESET statement_timeout; RESET plan_cache_mode"

_CURRENT = "SELECT currency, accounts, entries, customers_minor, clearing_minor, world_minor FROM current_totals"

# The balances themselves, not what the running totals say about them.
_HELD = """
    SELECT currency, coalesce(accounts, 0) AS accounts, coalesce(entries, 0)::bigint AS entries,
        coalesce(customers, 0)::bigint AS customers_minor, coalesce(clearing_minor, 0) AS in_transit_minor,
        coalesce(world_minor, 0) AS world_minor
    FROM (
        SELECT currency, count(*) AS accounts, sum(version) AS entries, sum(balance_minor) AS customers
        FROM accounts GROUP BY currency
    ) held
    FULL JOIN (SELECT currency, clearing_minor, world_minor FROM current_totals) booked USING (currency)
    ORDER BY currency
"""

# Transfers that did not complete are few and have their indexes; the others are all that were counted.
_BY_STATE = """
    WITH others AS MATERIALIZED (
        SELECT state, count(*) AS transfers FROM transfers
        WHERE state IN ('compensated', 'failed', 'cancelled') GROUP BY state
        UNION ALL
        SELECT state, count(*) FROM transfers WHERE state IN ('initiated', 'in_review', 'debited') GROUP BY state
    )
    SELECT state, transfers FROM others
    UNION ALL
    SELECT 'completed', coalesce((SELECT sum(transfers) FROM current_transfers), 0)::bigint
        - coalesce((SELECT sum(transfers) FROM others), 0)::bigint
"""


class AuditInProgress(Exception):
    """Another audit of these books runs, in this process or in another one."""

    def __str__(self) -> str:
        return "An audit of these books runs already: wait until it has ended."


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation: the invariant, the account or transfer, and what was found."""

    invariant: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Totals:
    """The books of one currency, in minor units. `customers + in_transit + world` is zero where the books are clean."""

    currency: str
    accounts: int
    entries: int
    customers_minor: int
    in_transit_minor: int
    world_minor: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit. Clean books have nothing in `broken`, and at most 1,000 findings are listed.

    `since` is when what earlier audits verified ends. None: this one looked at everything.
    """

    broken: list[Broken]
    totals: list[Totals]
    transfers_by_state: dict[str, int]
    fingerprints_checked: bool
    since: datetime | None = None

    @property
    def clean(self) -> bool:
        """Whether every invariant holds."""
        return not self.broken


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """How far an audit is that runs now: accounts come first, transfers and all else behind them.

    Both are None until the accounts are counted.
    """

    accounts_done: int | None
    accounts_total: int | None


async def audit_progress(database: Database) -> AuditProgress | None:
    """How far the audit of these books is, in whatever process it runs. None: none runs."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_PROGRESS)
    return AuditProgress(row["accounts_done"], row["accounts_total"]) if row else None


async def audit(
    database: Database,
    fingerprints: Fingerprints | None = None,
    *,
    full: bool = False,
    limit_seconds: int = AUDIT_TIMEOUT_SECONDS,
) -> Audit:
    """Check every invariant over what no earlier audit found clean, or with `full` over the whole books.

    After a full audit with findings, each one is full until one is clean.

    Takes no lock that a step could meet, and holds no snapshot for longer than one of its many parts takes. What it
    finds clean is remembered as it goes, so an audit that is broken off continues with the next one. Without
    `fingerprints` it cannot tell whether an order is the one that was accepted, and so remembers no transfer as clean.

    Raises `AuditInProgress` while another one runs, `NoSchema` if the tables that this version reads are missing, and
    `Unavailable` if it takes longer than `limit_seconds`.
    """
    try:
        async with asyncio.timeout(limit_seconds):
            with _readable():
                async with database.connection() as connection, _alone(connection):
                    return await audit_on(connection, fingerprints, full=full, note=_Noted(connection))
    except TimeoutError as error:
        raise Unavailable(
            f"The audit took longer than {limit_seconds} s and was given up. What it verified stays verified."
        ) from error


class _Noted:
    """Notes on the audit's own connection how many accounts it has looked at, for `audit_progress`."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._done: int | None = None

    async def __call__(self, done: int, total: int) -> None:
        if self._done is None:
            await self._connection.execute(_NOTE_PROGRESS, _ACCOUNTS_TOTAL, total, None, timeout=STATEMENT_SECONDS)
        if done != self._done:
            await self._connection.execute(_NOTE_PROGRESS, _ACCOUNTS_DONE, done, self._done, timeout=STATEMENT_SECONDS)
        self._done = done


async def audit_on(
    connection: "Connection", fingerprints: Fingerprints | None = None, *, full: bool, note: Note | None = None
) -> Audit:
    """The audit on this connection. The caller sees to it that no other one runs. `note` is told how far it is."""
    auditor = Auditor(connection, fingerprints, full=full, note=note)
    findings = await auditor.findings()
    totals = await connection.fetch(_HELD, timeout=STATEMENT_SECONDS)
    states = await connection.fetch(_BY_STATE, timeout=STATEMENT_SECONDS)
    return Audit(
        broken=[Broken(*finding) for finding in findings],
        totals=[Totals(**dict(row)) for row in totals],
        transfers_by_state={row["state"]: row["transfers"] for row in states if row["transfers"]},
        fingerprints_checked=fingerprints is not None,
        since=auditor.since,
    )


@asynccontextmanager
async def _alone(connection: "Connection") -> AsyncIterator[None]:
    """The lock of audits, which ends with the connection if this process dies."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _ADVISORY_LOCK):
        raise AuditInProgress
    try:
        await connection.execute(_SESSION)
        yield
    finally:
        try:
            await connection.execute(_AS_BEFORE)
            await connection.execute("SELECT pg_advisory_unlock_all()")
        except BaseException:
            connection.terminate()  # a connection that is given back must hold no lock
            raise


@contextmanager
def _readable() -> Iterator[None]:
    """Books that cannot be read may be correct, so a failed read raises `Unavailable` and is no violation."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError) as error:
        raise NoSchema(
            f"The database does not have the schema of this version ({error}): run `remit migrate`."
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise Unavailable(f"The role may not read the books: {error}.") from error


async def totals(database: Database) -> list[Totals]:
    """The totals per currency by what was posted, in one snapshot. Takes no lock, and a time that does not grow."""
    async with database.connection() as connection:
        rows = await connection.fetch(f"{_CURRENT} ORDER BY currency")
    return [
        Totals(
            row["currency"],
            row["accounts"],
            row["entries"],
            row["customers_minor"],
            row["clearing_minor"],
            row["world_minor"],
        )
        for row in rows
    ]
