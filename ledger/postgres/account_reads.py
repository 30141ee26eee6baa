"""Accounts and their entries, read. Nothing here locks or writes.

Reads for a customer take the owner's id and filter by it in SQL: what belongs to somebody else does not exist.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select

from database.connections import Database
from database.paging import Page, fetch_page
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import accounts, entries
from ledger.transfers import Leg


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One entry of an account. `amount_minor` is signed: negative where money left."""

    transfer_id: TransferId
    leg: Leg
    amount_minor: int
    balance_before: int
    balance_after: int
    version: int
    recorded_at: datetime


_OWN_ACCOUNTS = (
    select(*ACCOUNT).where(accounts.c.owner_id == bindparam("owner_id")).order_by(accounts.c.created_at, accounts.c.id)
)
_ACCOUNT = select(*ACCOUNT).where(accounts.c.id == bindparam("account_id"))
_OWN_ACCOUNT = _ACCOUNT.where(accounts.c.owner_id == bindparam("owner_id"))

_ENTRIES = (
    select(*columns_for(AccountEntry, entries))
    .where(entries.c.account_id == bindparam("account_id"), entries.c.version < bindparam("below_version"))
    .order_by(entries.c.version.desc())
)


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

    async def entries(self, account_id: AccountId, below_version: int, limit: int) -> Page[AccountEntry]:
        """Entries with a version below the given one, newest first. The caller has checked whose account it is."""
        async with self._reports.connection() as connection:
            return await fetch_page(
                connection, _ENTRIES, limit, _entry_of, account_id=account_id, below_version=below_version
            )


def _entry_of(row: Row) -> AccountEntry:
    return dataclass_of(AccountEntry, row)
