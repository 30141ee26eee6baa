"""Locks an account, and freezes it under that lock, without a recorded staff action. Only the demo may do so.

The demo has to freeze an account between a transfer's debit and its credit. A freeze through the admin API would wait
for the lock that holds the credit back, and whoever gets the lock first would win. So the freeze commits with the lock.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from database.connections import Database
from ledger.accounts import AccountStatus
from ledger.ids import AccountId
from ledger.postgres.rows import ACCOUNT_COLUMNS
from ledger.refusals import AccountNotFound

if TYPE_CHECKING:
    from database.connections import Connection


SET_STATUS = f"""
    UPDATE accounts a SET status = $2 WHERE id = $1 RETURNING {ACCOUNT_COLUMNS}
"""


_HOLD = "SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE"


class HeldAccount:
    """An account under its row lock. Changes commit when the block that holds it ends."""

    def __init__(self, connection: "Connection", account_id: AccountId) -> None:
        self._connection = connection
        self._account_id = account_id

    async def set_status(self, status: AccountStatus) -> None:
        """Freeze, open or close it."""
        await self._connection.execute(SET_STATUS, self._account_id, status)


@asynccontextmanager
async def holding(database: Database, account_id: AccountId) -> AsyncIterator[HeldAccount]:
    """Lock an account against every step until the block ends, to act between two steps of a transfer.

    Steps that need the account wait and are retried meanwhile. Raises `AccountNotFound`.
    """
    async with database.transaction() as connection:
        row = await connection.fetchrow(_HOLD, account_id)
        if row is None:
            raise AccountNotFound(account_id)
        yield HeldAccount(connection, account_id)
