"""Payees by their account numbers, and how many numbers each customer may try."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from customers.payees.payee import CHECK_WINDOW, AccountHolder, Checks, NoSuchPayee, Payee, TooManyChecks, masked
from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.rows import dataclass_of
from ledger.account_numbers import AccountNumber
from ledger.ids import AccountId, CustomerId

if TYPE_CHECKING:
    from database.connections import Connection

payee_checks = Table(
    "payee_checks",
    METADATA,
    Column("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    required("checks", Integer),
    required("since", Timestamp),
)

# A window that is over begins again. One row for each customer, so that all processes count together.
_COUNT = """
    INSERT INTO payee_checks AS known (customer_id, checks, since)
    SELECT $1, $3::integer, now FROM clock_timestamp() AS now
    ON CONFLICT (customer_id) DO UPDATE SET
        checks = CASE WHEN known.since <= excluded.since - $2::interval THEN excluded.checks
            ELSE least(known.checks, 1000000) + excluded.checks END,
        since = CASE WHEN known.since <= excluded.since - $2::interval THEN excluded.since ELSE known.since END
    RETURNING checks, since, clock_timestamp() AS now
"""

_PAYEE = """
    SELECT a.id, a.number, a.currency, c.full_name FROM accounts a JOIN customers c ON c.id = a.owner_id
    WHERE a.number = $1 AND a.status <> 'closed'
"""

_ACCOUNT = "SELECT id FROM accounts WHERE number = $1"

_ACCOUNTS = "SELECT number, id FROM accounts WHERE number = ANY ($1::text[])"

_HOLDERS = """
    SELECT a.id, a.number, a.owner_id, c.full_name FROM accounts a JOIN customers c ON c.id = a.owner_id
    WHERE a.id = ANY ($1::text[])
"""


class Payees:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, most_checks: int, reports: Database | None = None) -> None:
        """`most_checks`: how many numbers a customer may try within `CHECK_WINDOW`. `reports`: where lists are read."""
        self._database = database
        self._reports = reports or database
        self._most_checks = most_checks

    async def check(self, customer_id: CustomerId, number: AccountNumber) -> Payee:
        """Who would be paid by this number. Counts for the customer, whether the number is anybody's or not.

        Raises `NoSuchPayee` and `TooManyChecks`.
        """
        async with self._database.connection() as connection:
            await self._count(connection, customer_id)
            row = await connection.fetchrow(_PAYEE, number)
        if row is None:
            raise NoSuchPayee
        return Payee(row["number"], masked(row["full_name"]), row["currency"])

    async def account_id(self, customer_id: CustomerId, number: AccountNumber) -> AccountId:
        """The account with this number. A number never moves to another account, so the answer is always the same.

        Only a number that is nobody's counts as a check. Raises `NoSuchPayee`, and `TooManyChecks` if the customer has
        no check left: then also for a number that is somebody's, so that nobody learns which is which.
        """
        async with self._database.connection() as connection:
            await self._count(connection, customer_id, checks=0)
            found: str | None = await connection.fetchval(_ACCOUNT, number)
            if found is None:
                await self._count(connection, customer_id)
                raise NoSuchPayee
        return AccountId(found)

    async def account_ids(
        self, customer_id: CustomerId, numbers: Collection[AccountNumber]
    ) -> Mapping[AccountNumber, AccountId]:
        """The accounts with these numbers, without those that are nobody's: each of these counts as a check.

        Raises `TooManyChecks` where the customer has fewer checks left, as `account_id` does.
        """
        if not numbers:
            return {}
        async with self._database.connection() as connection:
            await self._count(connection, customer_id, checks=0)
            rows = await connection.fetch(_ACCOUNTS, list(numbers))
            if nobodys := len(set(numbers)) - len(rows):
                await self._count(connection, customer_id, checks=nobodys)
        return {AccountNumber(row["number"]): AccountId(row["id"]) for row in rows}

    async def holders(self, account_ids: Collection[AccountId]) -> Mapping[AccountId, AccountHolder]:
        """Who has these accounts, closed ones as well, in one read. An account of the system has no holder.

        Counts for nobody: the reader is staff, or the caller has checked that the two have exchanged money.
        """
        if not account_ids:
            return {}
        async with self._reports.connection() as connection:
            rows = await connection.fetch(_HOLDERS, list(account_ids))
        return {row["id"]: dataclass_of(AccountHolder, row) for row in rows}

    async def _count(self, connection: "Connection", customer_id: CustomerId, checks: int = 1) -> None:
        row = await connection.fetchrow(_COUNT, customer_id, CHECK_WINDOW, checks)
        assert row is not None, "an upsert returns its row"
        wait = dataclass_of(Checks, row).wait(self._most_checks)
        if wait.total_seconds() > 0:
            raise TooManyChecks(wait)
