"""Accounts from an operator's console, without a record: for the demo and for tests. Staff go by `operators.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from database.connections import Database
from ledger.accounts import Account, AccountStatus
from ledger.ids import AccountId
from ledger.postgres.rows import ACCOUNT_COLUMNS, account_of
from ledger.refusals import AccountNotFound

if TYPE_CHECKING:
    from database.connections import Connection

_SET_STATUS = f"""
    UPDATE accounts a SET status = $2 WHERE id = $1 RETURNING {ACCOUNT_COLUMNS}
"""

_HOLD = "SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE"


class HeldAccount:
    """An account under its row lock. What is done to it counts when the block that holds it ends."""

    def __init__(self, connection: "Connection", account_id: AccountId) -> None:
        self._connection = connection
        self._account_id = account_id

    async def set_status(self, status: AccountStatus) -> None:
        """Freeze, open or close it."""
        await self._connection.execute(_SET_STATUS, self._account_id, status)


async def set_account_status(database: Database, account_id: AccountId, status: AccountStatus) -> Account:
    """Freeze, open or close an account. Waits for a step that holds it, and holds it against steps meanwhile.

    Raises `AccountNotFound`.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(_SET_STATUS, account_id, status)
    if row is None:
        raise AccountNotFound(account_id)
    return account_of(row)


@asynccontextmanager
async def holding(database: Database, account_id: AccountId) -> AsyncIterator[HeldAccount]:
    """Lock an account against every step until the block ends, to act between two steps of a transfer.

    Steps that need the account wait, and come again, meanwhile. Raises `AccountNotFound`.
    """
    async with database.transaction() as connection:
        row = await connection.fetchrow(_HOLD, account_id)
        if row is None:
            raise AccountNotFound(account_id)
        yield HeldAccount(connection, account_id)
