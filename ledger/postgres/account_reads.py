"""Accounts and their entries, read. Nothing here locks or writes.

Reads for a customer take the owner's id and filter by it in SQL: what belongs to somebody else does not exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Text, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from database.connections import Database
from database.metadata import CLOCK
from database.paging import ALL_TIME, Page, Span, fetch_page
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first, one_of
from ledger.accounts import Account, AccountStatistics
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import accounts, entries
from ledger.transfers import Leg

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One entry of an account. `amount_minor` is signed: negative where money left."""

    account_id: AccountId
    transfer_id: TransferId
    leg: Leg
    amount_minor: int
    balance_before: int
    balance_after: int
    version: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which of an account's entries a list holds. A condition that is None does not apply."""

    leg: Leg | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    within: Span = ALL_TIME


@dataclass(frozen=True, slots=True)
class PastBalance:
    """What was booked to an account until a moment: the balance after the last entry that was recorded by then.

    An amount in transit has left its source. What was held of the balance then is not kept.
    """

    at: datetime
    balance_minor: int
    version: int


# Versions follow the time, so the moment is found as a word is in a dictionary: twenty entries of a million are read.
# Where an entry is missing, because somebody has deleted it, all of them are.
_SEARCH = """
    search AS (
        SELECT 0::bigint AS low, version AS high FROM accounts WHERE id = $1
        UNION ALL
        SELECT CASE WHEN e.recorded_at <= (SELECT at FROM moment) THEN s.middle ELSE s.low END,
            CASE WHEN e.recorded_at <= (SELECT at FROM moment) THEN s.high ELSE s.middle - 1 END
        FROM (SELECT low, high, (low + high + 1) / 2 AS middle FROM search WHERE low < high) s
        JOIN entries e ON e.account_id = $1 AND e.version = s.middle
    ),
    last AS (
        SELECT coalesce(
            (SELECT low FROM search WHERE low = high),
            (SELECT max(version) FROM entries WHERE account_id = $1 AND recorded_at <= (SELECT at FROM moment)),
            0
        ) AS version
    )
"""

_PAST_BALANCE = f"""
    WITH RECURSIVE moment AS (SELECT least($2, clock_timestamp()) AS at), {_SEARCH}
    SELECT (SELECT at FROM moment) AS at, coalesce(e.balance_after, 0) AS balance_minor, last.version
    FROM last LEFT JOIN entries e ON e.account_id = $1 AND e.version = last.version
"""

# Of the last entry before the moment, and 0 where there is none.
_VERSION_BEFORE = f"""
    WITH RECURSIVE moment AS (SELECT $2::timestamptz - interval '1 microsecond' AS at), {_SEARCH}
    SELECT version FROM last
"""

# A snapshot counts only if its entry is the one that it was taken of.
_STATISTICS = """
    WITH snapshot AS (
        SELECT s.* FROM account_snapshots s
        JOIN entries e ON (e.account_id, e.version) = (s.account_id, s.version)
            AND (e.hash, e.balance_after) = (s.hash, s.balance_minor)
        WHERE s.account_id = $1 ORDER BY s.version DESC LIMIT 1
    ),
    tail AS (
        SELECT max(version) AS version, max(recorded_at) AS recorded_at, sum(amount_minor) AS balance_minor,
            sum(deposits) AS deposits, sum(deposited_minor) AS deposited_minor,
            sum(withdrawals) AS withdrawals, sum(withdrawn_minor) AS withdrawn_minor,
            sum(incoming) AS incoming, sum(incoming_minor) AS incoming_minor,
            sum(outgoing) AS outgoing, sum(outgoing_minor) AS outgoing_minor
        FROM entry_totals
        WHERE account_id = $1 AND version > coalesce((SELECT version FROM snapshot), 0)
    )
    SELECT coalesce(tail.version, s.version, 0) AS version,
        coalesce(tail.recorded_at, s.recorded_at) AS last_activity_at,
        (coalesce(s.balance_minor, 0) + coalesce(tail.balance_minor, 0))::bigint AS balance_minor,
        (coalesce(s.deposits, 0) + coalesce(tail.deposits, 0))::bigint AS deposits,
        (coalesce(s.deposited_minor, 0) + coalesce(tail.deposited_minor, 0))::bigint AS deposited_minor,
        (coalesce(s.withdrawals, 0) + coalesce(tail.withdrawals, 0))::bigint AS withdrawals,
        (coalesce(s.withdrawn_minor, 0) + coalesce(tail.withdrawn_minor, 0))::bigint AS withdrawn_minor,
        (coalesce(s.incoming, 0) + coalesce(tail.incoming, 0))::bigint AS incoming,
        (coalesce(s.incoming_minor, 0) + coalesce(tail.incoming_minor, 0))::bigint AS incoming_minor,
        (coalesce(s.outgoing, 0) + coalesce(tail.outgoing, 0))::bigint AS outgoing,
        (coalesce(s.outgoing_minor, 0) + coalesce(tail.outgoing_minor, 0))::bigint AS outgoing_minor
    FROM tail LEFT JOIN snapshot s ON true
"""

_OWN_ACCOUNTS = (
    select(*ACCOUNT).where(accounts.c.owner_id == bindparam("owner_id")).order_by(accounts.c.created_at, accounts.c.id)
)
_ACCOUNTS_OF_MANY = (
    select(*ACCOUNT)
    .where(accounts.c.owner_id == any_(bindparam("owner_ids", type_=ARRAY(Text))))
    .order_by(accounts.c.created_at, accounts.c.id)
)
_ACCOUNT = select(*ACCOUNT).where(accounts.c.id == bindparam("account_id"))
_OWN_ACCOUNT = _ACCOUNT.where(accounts.c.owner_id == bindparam("owner_id"))

_ACCOUNT_NOW = _ACCOUNT.add_columns(CLOCK.label("now"))

_ENTRIES = (
    select(*columns_for(AccountEntry, entries))
    .where(entries.c.account_id == bindparam("account_id"), entries.c.version < bindparam("below_version"))
    .order_by(entries.c.version.desc())
)


NO_FILTER = EntryFilter()


class AccountReads:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, reports: Database | None = None) -> None:
        """`reports` are the connections that lists of entries are read on."""
        self._database = database
        self._reports = reports or database

    async def all_of(self, owner_id: CustomerId) -> list[Account]:
        """The customer's accounts, oldest first."""
        async with self._database.connection() as connection:
            return [account_of(row) for row in await fetch(connection, _OWN_ACCOUNTS, owner_id=owner_id)]

    async def all_of_many(self, owner_ids: Sequence[CustomerId]) -> dict[CustomerId, list[Account]]:
        """The same for each of these customers."""
        found: dict[CustomerId, list[Account]] = {owner_id: [] for owner_id in owner_ids}
        async with self._database.connection() as connection:
            for row in await fetch(connection, _ACCOUNTS_OF_MANY, owner_ids=list(owner_ids)):
                account = account_of(row)
                found[account.owner_id].append(account)
        return found

    async def own(self, owner_id: CustomerId, account_id: AccountId) -> Account | None:
        """The account, if it is this customer's."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _OWN_ACCOUNT, account_id=account_id, owner_id=owner_id)
        return account_of(row) if row else None

    async def find(self, account_id: AccountId) -> Account | None:
        """Any customer's account."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _ACCOUNT, account_id=account_id)
        return account_of(row) if row else None

    async def balance_at(self, account_id: AccountId, at: datetime) -> PastBalance:
        """The balance at a moment, for ever the same once the moment is a minute ago. The future is now.

        A step may record a time that is up to a minute old. The caller has checked whose account it is.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_PAST_BALANCE, account_id, at)
        assert row is not None, "one row is always selected"
        return dataclass_of(PastBalance, row)

    async def statistics(self, account_id: AccountId) -> AccountStatistics:
        """Totals since the account's first entry. The caller has checked whose account it is."""
        async with self._reports.connection() as connection:
            row = await connection.fetchrow(_STATISTICS, account_id)
        assert row is not None, "one row is always selected"
        return dataclass_of(AccountStatistics, row)

    async def find_with_time(
        self, account_id: AccountId, owner_id: CustomerId | None = None
    ) -> tuple[Account, datetime] | None:
        """Any account, or if `owner_id` is given only one of theirs, with PostgreSQL's time."""
        wanted = _ACCOUNT_NOW if owner_id is None else _ACCOUNT_NOW.where(accounts.c.owner_id == owner_id)
        async with self._database.connection() as connection:
            row = await fetch_first(connection, wanted, account_id=account_id)
        return (account_of(row), row["now"]) if row else None

    async def entries(
        self, account_id: AccountId, below_version: int, limit: int, wanted: EntryFilter = NO_FILTER
    ) -> Page[AccountEntry]:
        """Entries with a version below the given one, newest first. The caller has checked whose account it is.

        A span of time is found by its versions, as a balance at a moment is. Within it, entries are read from the
        newest until the page is full.
        """
        since, until = wanted.within.since, wanted.within.until
        async with self._reports.connection() as connection:
            if until is not None:
                below_version = min(below_version, await version_before(connection, account_id, until) + 1)
            statement = _ENTRIES.where(*_conditions(wanted)) if wanted != NO_FILTER else _ENTRIES
            if since is not None:
                earlier = await version_before(connection, account_id, since)
                statement = statement.where(entries.c.version > earlier)
            return await fetch_page(
                connection, statement, limit, _entry_of, account_id=account_id, below_version=below_version
            )


async def version_before(connection: "Connection", account_id: AccountId, moment: datetime) -> int:
    """The version of the last entry that was recorded before the moment; 0 where there is none."""
    found: int = await connection.fetchval(_VERSION_BEFORE, account_id, moment)
    return found


def _conditions(wanted: EntryFilter) -> list[ColumnElement[bool]]:
    found = wanted.within.holds(entries.c.recorded_at)
    # As a constant, for the index of refunds.
    if wanted.leg is not None:
        found.append(one_of(entries.c.leg, [wanted.leg]))
    if wanted.least_minor is not None:
        found.append(func.abs(entries.c.amount_minor) >= wanted.least_minor)
    if wanted.most_minor is not None:
        found.append(func.abs(entries.c.amount_minor) <= wanted.most_minor)
    return found


def _entry_of(row: Row) -> AccountEntry:
    return dataclass_of(AccountEntry, row)
