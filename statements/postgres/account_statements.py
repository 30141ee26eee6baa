"""Statements in PostgreSQL: cut under the account's lock, added up, and read with their lines."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, tuple_

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.paging import Page, fetch_page
from database.rows import dataclass_of
from database.statements import Row, fetch_first
from ledger.chain import genesis_hash
from ledger.ids import AccountId, CustomerId
from ledger.postgres.account_reads import version_before
from ledger.postgres.rows import only
from ledger.refusals import EntriesBroken
from notifications.notification import STATEMENT as STATEMENT_OCCASION
from notifications.postgres import write_notification
from statements.postgres.tables import STATEMENT, account_statements
from statements.statement import (
    AccountStatement,
    NoSuchStatement,
    PeriodNotBegun,
    StatementKey,
    StatementLine,
    StatementProgress,
    StatementTerms,
)

if TYPE_CHECKING:
    from database.connections import Connection

# So many lines are added up while the account is locked: that takes some milliseconds. A longer statement is added up
# by a workflow, in steps of so many lines.
SUMMED_AT_ONCE = 10_000
LINES_IN_A_STEP = 50_000

# What a rendering holds in memory at a time.
LINES_AT_ONCE = 1_000

_LOCK = """
    SELECT a.id, a.owner_id, a.number, a.currency, a.version, a.head_hash, c.full_name, clock_timestamp() AS now
    FROM accounts a JOIN customers c ON c.id = a.owner_id
    WHERE a.id = $1 AND ($2::text IS NULL OR a.owner_id = $2) FOR NO KEY UPDATE OF a
"""

# Where earlier statements were cut: what one has counted to a period stays there. So a moment has one place in the
# account's entries for ever, and of two moments the later one is not before the other.
_CUTS = """
    SELECT coalesce(max(version) FILTER (WHERE at <= $2), 0) AS lowest, min(version) FILTER (WHERE at >= $2) AS highest
    FROM (
        SELECT ends_at AS at, to_version AS version FROM account_statements WHERE account_id = $1
        UNION ALL SELECT begins_at, from_version - 1 FROM account_statements WHERE account_id = $1
    ) AS cuts
"""

_HAS_MONTH = "SELECT EXISTS (SELECT FROM account_statements WHERE account_id = $1 AND month = $2)"

_ENTRY = "SELECT balance_after, hash FROM entries WHERE account_id = $1 AND version = $2"

_INSERT = """
    INSERT INTO account_statements (account_id, number, holder_name, bank_name, bank_address, time_zone, begins_at,
        ends_at, month, from_version, to_version, opening_minor, closing_minor, opening_hash, head_hash)
    SELECT $1, 1 + coalesce(max(number), 0), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
    FROM account_statements WHERE account_id = $1 RETURNING number
"""

_SUMS = """
    SELECT count(*) FILTER (WHERE amount_minor > 0) AS credits,
        coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0)::bigint AS credits_minor,
        count(*) FILTER (WHERE amount_minor < 0) AS debits,
        coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0)::bigint AS debits_minor
    FROM entries WHERE account_id = $1 AND version > $3::bigint AND version <= $4::bigint
"""
_INSERT_TOTALS = f"""
    INSERT INTO account_statement_totals
        (account_id, number, through_version, credits, credits_minor, debits, debits_minor, ready_at)
    SELECT $1, $2, $4::bigint, lines.*, CASE WHEN $4 = $5::bigint THEN clock_timestamp() END FROM ({_SUMS}) AS lines
"""

# Only from the place where this step has read it: of two walks at once, one goes on from the other's place.
_ADD_UP = f"""
    UPDATE account_statement_totals t SET through_version = $4,
        credits = t.credits + lines.credits, credits_minor = t.credits_minor + lines.credits_minor,
        debits = t.debits + lines.debits, debits_minor = t.debits_minor + lines.debits_minor,
        ready_at = CASE WHEN $4 = $5::bigint THEN clock_timestamp() END
    FROM ({_SUMS}) AS lines
    WHERE t.account_id = $1 AND t.number = $2 AND t.through_version = $3 AND t.ready_at IS NULL
"""

_LINES = """
    SELECT e.version, e.transfer_id, e.attempt, e.leg, e.amount_minor, e.balance_before, e.balance_after,
        e.recorded_at, e.hash, t.kind, other.number AS counterparty, t.note,
        CASE WHEN t.owner_id = $4 THEN t.transaction_id END AS reference
    FROM entries e JOIN transfers t ON t.id = e.transfer_id
    LEFT JOIN accounts other ON other.id = CASE t.source_account_id WHEN e.account_id THEN t.destination_account_id
        ELSE t.source_account_id END
    WHERE e.account_id = $1 AND e.version > $2 AND e.version <= $3 ORDER BY e.version
"""

_OPEN_SINCE = """
    SELECT t.account_id, t.number FROM account_statement_totals t
    JOIN account_statements s ON (s.account_id, s.number) = (t.account_id, t.number)
    WHERE t.ready_at IS NULL AND s.made_at <= clock_timestamp() - make_interval(secs => $1)
    ORDER BY t.account_id, t.number LIMIT 200
"""

_OF_ACCOUNT = STATEMENT.where(account_statements.c.account_id == bindparam("account_id"))
_NEWEST = _OF_ACCOUNT.where(account_statements.c.number < bindparam("below")).order_by(
    account_statements.c.number.desc()
)
_ONE = STATEMENT.where(
    tuple_(account_statements.c.account_id, account_statements.c.number)
    == tuple_(bindparam("account_id"), bindparam("number"))
)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A place between two entries: behind this version."""

    version: int
    balance_minor: int
    hash: bytes


class AccountStatements:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, terms: StatementTerms, reports: Database | None = None) -> None:
        """`reports` are the connections that lists and lines are read on; None: those of all requests."""
        self._database = database
        self._reports = reports or database
        self._terms = terms

    @property
    def terms(self) -> StatementTerms:
        """What the settings say."""
        return self._terms

    async def make(
        self,
        account_id: AccountId,
        begins_at: datetime,
        ends_at: datetime,
        *,
        owner_id: CustomerId | None = None,
        month: date | None = None,
        keep: Keep[AccountStatement] = keeps_nothing,
    ) -> AccountStatement | None:
        """The account's next statement, over the entries of this time. An end to come is the present.

        A place where an earlier statement was cut is the same here, so the closing of one period is the opening of the
        next. One of up to `SUMMED_AT_ONCE` lines is ready at once. Each call makes a statement of its own, unless
        `keep` keeps its answer for a key. Raises `PeriodNotBegun`. None: there is no such account, or with `owner_id`
        none of theirs, or with `month` the account has the statement of that month already.
        """
        async with self._database.transaction() as connection:
            made = await self._cut(connection, account_id, begins_at, ends_at, owner_id, month)
            if made is not None:
                await keep(connection, made)
        return made

    async def _cut(
        self,
        connection: "Connection",
        account_id: AccountId,
        begins_at: datetime,
        ends_at: datetime,
        owner_id: CustomerId | None,
        month: date | None,
    ) -> AccountStatement | None:
        account = await connection.fetchrow(_LOCK, account_id, owner_id)
        if account is None or (month is not None and await connection.fetchval(_HAS_MONTH, account_id, month)):
            return None
        now: datetime = account["now"]
        if begins_at >= now:
            raise PeriodNotBegun(begins_at)
        ends_at = min(ends_at, now)
        first = await _place(connection, account, begins_at)
        last = await _place(connection, account, ends_at)
        number: int = await connection.fetchval(
            _INSERT,
            account_id,
            account["full_name"],
            self._terms.bank.name,
            "\n".join(self._terms.bank.address),
            self._terms.zones.of(account["currency"]),
            begins_at,
            ends_at,
            month,
            first.version + 1,
            last.version,
            first.balance_minor,
            last.balance_minor,
            first.hash,
            last.hash,
        )
        key = StatementKey(account_id, number)
        is_long = last.version - first.version > SUMMED_AT_ONCE
        through = first.version if is_long else last.version
        await connection.execute(_INSERT_TOTALS, account_id, number, first.version, through, last.version)
        made = await _find(connection, key)
        if made.ready_at is not None and month is not None:
            await _notify(connection, made)
        return made

    async def add_up(self, key: StatementKey) -> StatementProgress:
        """Add the next `LINES_IN_A_STEP` lines to the sums, and tell the owner when it is ready.

        A repeat goes on from the row. Raises `NoSuchStatement`.
        """
        async with self._database.transaction() as connection:
            found = await _find(connection, key)
            if found.ready_at is None:
                through = min(found.through_version + LINES_IN_A_STEP, found.to_version)
                await _add_up(connection, found, through)
                found = await _find(connection, key)
                if found.ready_at is not None:
                    await _notify(connection, found)
        return progress_of(found)

    async def open_since(self, seconds: int) -> list[StatementKey]:
        """Statements that were cut this long ago and are not ready: the oldest accounts first, some of them."""
        async with self._database.connection() as connection:
            return [dataclass_of(StatementKey, row) for row in await connection.fetch(_OPEN_SINCE, seconds)]

    async def accounts_behind(self, query: str, after: AccountId, limit: int) -> list[Row]:
        """The next accounts of a sweep."""
        async with self._database.connection() as connection:
            return await connection.fetch(query, after, limit)

    async def of_account(self, account_id: AccountId, below: int, limit: int) -> Page[AccountStatement]:
        """The account's statements with a number below this one, newest first. The caller has checked whose it is."""
        async with self._reports.connection() as connection:
            return await fetch_page(connection, _NEWEST, limit, _statement_of, account_id=account_id, below=below)

    async def find(self, key: StatementKey) -> AccountStatement | None:
        """Any account's statement with this number. The caller compares its owner."""
        async with self._reports.connection() as connection:
            row = await fetch_first(connection, _ONE, account_id=key.account_id, number=key.number)
        return _statement_of(row) if row else None

    async def lines(self, statement: AccountStatement) -> AsyncIterator[list[StatementLine]]:
        """Its lines in their order, some at a time. No connection is held between them."""
        after = statement.from_version - 1
        while after < statement.to_version:
            through = min(after + LINES_AT_ONCE, statement.to_version)
            async with self._reports.connection() as connection:
                rows = await connection.fetch(_LINES, statement.account_id, after, through, statement.owner_id)
            if len(rows) != through - after:
                raise EntriesBroken(statement.account_id, [f"entries {after + 1} to {through} are not all there"])
            yield [dataclass_of(StatementLine, row) for row in rows]
            after = through


def progress_of(statement: AccountStatement) -> StatementProgress:
    """How far it has come."""
    return StatementProgress(statement.lines_summed, statement.lines, statement.ready_at is not None)


async def _place(connection: "Connection", account: Row, moment: datetime) -> _Cut:
    """Where the moment cuts the entries of the locked account."""
    account_id, version = AccountId(account["id"]), int(account["version"])
    cuts = only(await connection.fetchrow(_CUTS, account_id, moment))
    lowest, highest = cuts["lowest"], version if cuts["highest"] is None else cuts["highest"]
    if lowest < highest and moment < account["now"]:
        version = await version_before(connection, account_id, moment)
    version = min(max(version, lowest), highest)
    if version == 0:
        return _Cut(0, 0, genesis_hash(account_id))
    entry = await connection.fetchrow(_ENTRY, account_id, version)
    if entry is None:
        raise EntriesBroken(account_id, [f"entry {version} is missing"])
    return _Cut(version, entry["balance_after"], entry["hash"])


async def _add_up(connection: "Connection", statement: AccountStatement, through: int) -> None:
    key = statement.key
    await connection.execute(
        _ADD_UP, key.account_id, key.number, statement.through_version, through, statement.to_version
    )


async def _notify(connection: "Connection", statement: AccountStatement) -> None:
    occasion = f"{STATEMENT_OCCASION}{statement.number}"
    await write_notification(connection, statement.owner_id, occasion, statement.message, statement.account_id)


async def _find(connection: "Connection", key: StatementKey) -> AccountStatement:
    row = await fetch_first(connection, _ONE, account_id=key.account_id, number=key.number)
    if row is None:
        raise NoSuchStatement(key)
    return _statement_of(row)


def _statement_of(row: Row) -> AccountStatement:
    return dataclass_of(AccountStatement, row)
