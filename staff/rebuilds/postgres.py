"""Rebuilds in PostgreSQL: the walk over the accounts, how far it has come, and what it found.

An account is looked at without a lock. Only one that is not in order is locked, for a short transaction of its own,
which writes the balance, the report and the record of staff's actions together.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Interval,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from database.answers import Keep, keeps_nothing
from database.connections import Database, RowHeld, Unavailable
from database.metadata import CLOCK, METADATA, Timestamp, required
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import execute, fetch, fetch_first, fetch_only
from ledger.ids import AccountId, RebuildId, new_rebuild_id
from ledger.postgres.account_queue import AccountBusy, AccountQueues
from ledger.postgres.locks import lock_account_for_staff
from ledger.postgres.proof.rebuild import REBUILD_TIMEOUT_SECONDS, is_as_entries_require, rebuild
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import accounts
from ledger.refusals import ActionRefused, EntriesBroken
from staff.account_actions import NoSuchAccount, check_account_action
from staff.actions import NotTaken, Taken
from staff.permissions import Action, Actor, Role, check_allowed
from staff.postgres.actions import Subject, conclude_action, record_action, record_actions
from staff.postgres.tables import staff_actions
from staff.rebuilds.rebuild import (
    EntriesNotRead,
    NoSuchRebuild,
    Rebuild,
    RebuildCounts,
    RebuildFinding,
    RebuildOutcome,
    RebuildProgress,
    differences,
)

if TYPE_CHECKING:
    from database.connections import Connection

# What a rebuild of all accounts is recorded under, instead of an id: that of the books, as for audits.
BOOKS = "books"

# The walk notes its place after so many accounts. After a crash it looks at these again, which changes nothing.
ACCOUNTS_AT_ONCE = 100

# Counting millions of accounts takes longer than a step may.
COUNT_SECONDS = 60

rebuilds = Table(
    "rebuilds",
    METADATA,
    Column("id", Text, primary_key=True),
    required("action_id", Text, ForeignKey("staff_actions.id"), unique=True),
    Column("account_id", Text, ForeignKey("accounts.id")),
    required("state", Text, server_default="running"),
    required("position", Text, server_default=""),
    required("accounts_done", BigInteger, server_default="0"),
    Column("accounts_total", BigInteger),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("completed_at", Timestamp),
)
_IS_RUNNING = rebuilds.c.state == text("'running'")
Index("rebuilds_by_time", rebuilds.c.created_at.desc(), rebuilds.c.id.desc())
Index("rebuilds_running", rebuilds.c.created_at, postgresql_where=_IS_RUNNING)

rebuild_findings = Table(
    "rebuild_findings",
    METADATA,
    Column("rebuild_id", Text, ForeignKey("rebuilds.id"), primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("code", Text),
    Column("detail", Text),
    required("found_at", Timestamp, server_default=text("clock_timestamp()")),
)
_FINDING_PLACE = (rebuild_findings.c.found_at, rebuild_findings.c.account_id)
Index("rebuild_findings_by_time", rebuild_findings.c.rebuild_id, *(column.desc() for column in _FINDING_PLACE))

_OWN = ("id", "action_id", "account_id", "state", "position", "accounts_done", "accounts_total", "created_at")
_SELECT = select(
    *(rebuilds.c[name] for name in _OWN), rebuilds.c.completed_at, staff_actions.c.actor_id, staff_actions.c.reason
).join(staff_actions, staff_actions.c.id == rebuilds.c.action_id)
_FIND = _SELECT.where(rebuilds.c.id == bindparam("rebuild_id"))

_ACCOUNT = select(*ACCOUNT).where(accounts.c.id == bindparam("account_id"))

_IS_OF_REBUILD = rebuild_findings.c.rebuild_id == bindparam("rebuild_id")
_FINDINGS = select(*columns_for(RebuildFinding, rebuild_findings)).where(_IS_OF_REBUILD)
_COUNTS = select(
    *(
        func.count().filter(rebuild_findings.c.outcome == outcome.value).label(outcome.value)
        for outcome in RebuildOutcome
    )
).where(_IS_OF_REBUILD)

# The accounts that there were when it was requested: later ones do not hold it up.
_NEXT = "SELECT id FROM accounts WHERE id > $1 AND created_at <= $2 ORDER BY id LIMIT $3"
_COUNT = "SELECT count(*) FROM accounts WHERE created_at <= $1"
_SET_TOTAL = "UPDATE rebuilds SET accounts_total = $2 WHERE id = $1 AND accounts_total IS NULL"

# Only from the place where this walk has read it: of two walks at once, one goes on from the other's place.
_ADVANCE = """
    UPDATE rebuilds SET position = $3, accounts_done = accounts_done + $4,
        accounts_total = greatest(accounts_total, accounts_done + $4)
    WHERE id = $1 AND position = $2 AND state = 'running'
"""

_COMPLETE = """
    UPDATE rebuilds SET state = 'completed', completed_at = clock_timestamp(), accounts_total = accounts_done
    WHERE id = $1 AND position = $2 AND state = 'running' RETURNING 1
"""

_REPORT = """
    INSERT INTO rebuild_findings (rebuild_id, account_id, outcome, before, after, code, detail)
    VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7) ON CONFLICT DO NOTHING
"""

_RUNNING_SINCE = (
    select(rebuilds.c.id)
    .where(_IS_RUNNING, rebuilds.c.created_at <= CLOCK - bindparam("older_than", type_=Interval))
    .order_by(rebuilds.c.created_at)
    .limit(200)
)


def no_report() -> None:
    """For a walk that nobody watches."""


class Rebuilds:
    """All raise `Unavailable` where PostgreSQL gave no answer; every call is safe to repeat, but for `request`."""

    def __init__(self, database: Database, queues: AccountQueues | None = None) -> None:
        """`queues` are those of all in this process that lock accounts."""
        self._database = database
        self._queues = queues or AccountQueues()

    async def request(
        self, actor: Actor, account_id: AccountId | None, reason: str, keep: Keep[Rebuild] = keeps_nothing
    ) -> Rebuild:
        """Record that somebody wants an account, or with None all accounts, rebuilt. A workflow does it.

        Each call is a request of its own, unless `keep` keeps its answer for a key. Raises `NotAllowed`,
        `NoSuchAccount`, and `ConflictOfInterest` for an account of the actor's own.
        """
        check_allowed(actor, Action.REBUILD_ACCOUNT)
        rebuild_id = new_rebuild_id()
        async with self._database.transaction() as connection:
            if account_id is not None:
                row = await fetch_first(connection, _ACCOUNT, account_id=account_id)
                if row is None:
                    raise NoSuchAccount(account_id)
                check_account_action(actor, Action.REBUILD_ACCOUNT, account_of(row))
            subjects, asked = [Subject(account_id or BOOKS)], {"rebuild_id": rebuild_id}
            (action_id,) = await record_actions(
                connection, actor, Action.REBUILD_ACCOUNT, subjects, reason, asked, request=rebuild_id
            )
            await execute(
                connection, insert(rebuilds).values(id=rebuild_id, action_id=action_id, account_id=account_id)
            )
            requested = dataclass_of(Rebuild, await fetch_only(connection, _FIND, rebuild_id=rebuild_id))
            await keep(connection, requested)
        return requested

    async def find(self, rebuild_id: RebuildId) -> tuple[Rebuild, RebuildCounts]:
        """A rebuild as it is now. Raises `NoSuchRebuild`."""
        found = await self._read(rebuild_id)
        async with self._database.connection() as connection:
            return found, await _counts(connection, rebuild_id)

    async def all_of(self, limit: int, *, before: Place | None = None, within: Span = ALL_TIME) -> Page[Rebuild]:
        """All rebuilds, newest first."""
        wanted = newest_first(_SELECT, rebuilds.c.created_at, rebuilds.c.id, behind=before is not None, within=within)
        async with self._database.connection() as connection:
            return await fetch_page(connection, wanted, limit, lambda row: dataclass_of(Rebuild, row), before)

    async def findings(self, rebuild_id: RebuildId, limit: int, *, before: Place | None = None) -> Page[RebuildFinding]:
        """What it found, newest first."""
        wanted = newest_first(_FINDINGS, *_FINDING_PLACE, behind=before is not None)
        async with self._database.connection() as connection:
            return await fetch_page(
                connection,
                wanted,
                limit,
                lambda row: dataclass_of(RebuildFinding, row),
                before,
                rebuild_id=rebuild_id,
            )

    async def running_since(self, older_than_seconds: int) -> list[RebuildId]:
        """The rebuilds that were requested so long ago and are not completed, oldest first."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _RUNNING_SINCE, older_than=timedelta(seconds=older_than_seconds))
        return [row["id"] for row in rows]

    async def keep_account(self, account_id: AccountId, keep: Keep[Any]) -> Any:
        """The account as it is now, kept as the answer to a request that waited for its rebuild."""
        async with self._database.transaction() as connection:
            account = account_of(await fetch_only(connection, _ACCOUNT, account_id=account_id))
            await keep(connection, account)
        return account

    async def proceed(
        self, rebuild_id: RebuildId, within_seconds: int, report: Callable[[], None] = no_report
    ) -> RebuildProgress:
        """Go on with the walk from its place, for so long, and complete it after the last account.

        At least one account is looked at. `report` is called after each. Two calls at once do the same work twice, and
        report it once. Raises `NoSuchRebuild`.
        """
        until = monotonic() + within_seconds
        walked = False

        def is_over() -> bool:
            return monotonic() >= until

        while True:
            found = await self._read(rebuild_id)
            if found.is_running and found.accounts_total is None:
                await self._count(found)
            elif found.is_running and not (walked and is_over()):
                await self._walk(found, is_over, report)
                walked = True
            else:
                return await self._progress(found)

    async def _read(self, rebuild_id: RebuildId) -> Rebuild:
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, rebuild_id=rebuild_id)
        if row is None:
            raise NoSuchRebuild(rebuild_id)
        return dataclass_of(Rebuild, row)

    async def _progress(self, found: Rebuild) -> RebuildProgress:
        async with self._database.connection() as connection:
            counts = await _counts(connection, found.id)
        return RebuildProgress(found.state, found.accounts_done, found.accounts_total or 0, counts.rebuilt, counts.left)

    async def _count(self, found: Rebuild) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'")
            total = 1
            if found.account_id is None:
                total = await connection.fetchval(_COUNT, found.created_at, timeout=COUNT_SECONDS)
            await connection.execute(_SET_TOTAL, found.id, total)

    async def _walk(self, found: Rebuild, is_over: Callable[[], bool], report: Callable[[], None]) -> None:
        """Look at the next accounts, and note the place."""
        done = 0
        for account_id in await self._next(found):
            await self._check_account(found, account_id)
            report()
            last, done = account_id, done + 1
            if is_over():
                break
        async with self._database.transaction() as connection:
            if done:
                await connection.execute(_ADVANCE, found.id, found.position, last, done)
            elif await connection.fetchval(_COMPLETE, found.id, found.position):
                await _conclude(connection, found)

    async def _next(self, found: Rebuild) -> list[AccountId]:
        if found.account_id is not None:
            return [] if found.position else [found.account_id]
        async with self._database.connection() as connection:
            rows = await connection.fetch(_NEXT, found.position, found.created_at, ACCOUNTS_AT_ONCE)
        return [row["id"] for row in rows]

    async def _check_account(self, found: Rebuild, account_id: AccountId) -> None:
        """Rebuild an account that is not in order, or report why it is left. No account holds up the others."""
        try:
            async with self._database.transaction() as connection:
                in_order = await is_as_entries_require(connection, account_id)
            if not in_order:
                await self._rebuild(found, account_id)
        except ActionRefused as refusal:
            await self._leave(found, account_id, refusal.code, str(refusal))
        except (AccountBusy, RowHeld) as held:
            await self._leave(found, account_id, "account_busy", str(held))
        except asyncpg.IntegrityConstraintViolationError as error:
            broken = EntriesBroken(account_id, [f"PostgreSQL refuses the balance that they leave: {error}"])
            await self._leave(found, account_id, broken.code, str(broken))
        except Unavailable as error:
            if not isinstance(error.__cause__, asyncpg.QueryCanceledError):
                raise
            not_read = EntriesNotRead(account_id, REBUILD_TIMEOUT_SECONDS)
            await self._leave(found, account_id, not_read.code, str(not_read))

    async def _rebuild(self, found: Rebuild, account_id: AccountId) -> None:
        async with (
            self._queues.turn(account_id, for_staff=True) as turn,
            self._database.transaction() as connection,
        ):
            turn.has_connection()
            account = await lock_account_for_staff(connection, account_id)
            assert account is not None, "an account is never deleted"
            before, after = differences(account, await rebuild(connection, account_id))
            if not before:  # it was in order once the lock was there
                return
            actor = Actor(found.actor_id, Role.ADMIN)
            asked = {"rebuild_id": found.id}
            await record_action(
                connection, actor, Action.REBUILD_ACCOUNT, account_id, found.reason, before, after, asked
            )
            values = (json.dumps(before), json.dumps(after), None, None)
            await connection.execute(_REPORT, found.id, account_id, RebuildOutcome.REBUILT, *values)

    async def _leave(self, found: Rebuild, account_id: AccountId, code: str, detail: str) -> None:
        async with self._database.connection() as connection:
            values = (None, None, code, detail)
            await connection.execute(_REPORT, found.id, account_id, RebuildOutcome.LEFT, *values)


async def _counts(connection: "Connection", rebuild_id: RebuildId) -> RebuildCounts:
    return dataclass_of(RebuildCounts, await fetch_only(connection, _COUNTS, rebuild_id=rebuild_id))


async def _conclude(connection: "Connection", found: Rebuild) -> None:
    """Record how the request ended: that of one account which was left is refused."""
    counts = await _counts(connection, found.id)
    answer = (
        f"{found.accounts_done:,} accounts looked at, {counts.rebuilt:,} rebuilt, {counts.left:,} left as they are."
    )
    outcome: Taken | NotTaken = Taken(
        answer, {"accounts": found.accounts_done, "rebuilt": counts.rebuilt, "left": counts.left}
    )
    if found.account_id is not None and counts.left and not counts.rebuilt:
        left = await fetch_only(connection, _FINDINGS.limit(1), rebuild_id=found.id)
        outcome = NotTaken(left["code"], left["detail"])
    await conclude_action(connection, found.action_id, outcome)
