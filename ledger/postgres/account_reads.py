"""Accounts and their entries, read. Nothing here locks or writes.

What a customer asks for takes the owner's id and filters by it in SQL: what belongs to somebody else does not exist.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from database.connections import Database
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.rows import ACCOUNT_COLUMNS, account_of
from ledger.transfers import Leg

if TYPE_CHECKING:
    pass


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


_ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE a.id = $1"
_OWN_ACCOUNTS = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE owner_id = $1 ORDER BY created_at, id"
_OWN_ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE id = $1 AND owner_id = $2"

_LINES = """
    SELECT transfer_id, leg, amount_minor, balance_before, balance_after, version, recorded_at
    FROM entries WHERE account_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3
"""


class AccountReads:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all_of(self, owner_id: CustomerId) -> list[Account]:
        """The customer's accounts, oldest first."""
        async with self._database.connection() as connection:
            return [account_of(row) for row in await connection.fetch(_OWN_ACCOUNTS, owner_id)]

    async def own(self, owner_id: CustomerId, account_id: AccountId) -> Account | None:
        """The account, if it is this customer's."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_OWN_ACCOUNT, account_id, owner_id)
        return account_of(row) if row else None

    async def find(self, account_id: AccountId) -> Account | None:
        """Any customer's account."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_ACCOUNT, account_id)
        return account_of(row) if row else None

    async def entries(self, account_id: AccountId, below_version: int, limit: int) -> list[AccountEntry]:
        """Entries with a version below the given one, newest first. The caller has checked whose account it is."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LINES, account_id, below_version, limit)
        return [AccountEntry(**dict(row)) for row in rows]
