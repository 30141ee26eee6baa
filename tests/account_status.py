"""Accounts frozen and closed without a record: what a test needs, and no way of the product."""

from typing import TYPE_CHECKING

from database.connections import Database
from ledger.accounts import Account, AccountStatus
from ledger.ids import AccountId
from ledger.postgres.rows import account_of
from ledger.refusals import AccountNotFound

if TYPE_CHECKING:
    pass
from devenv.demo.postgres import _SET_STATUS


async def set_account_status(database: Database, account_id: AccountId, status: AccountStatus) -> Account:
    """Freeze, open or close an account. Waits for a step that holds it, and holds it against steps meanwhile.

    Raises `AccountNotFound`.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(_SET_STATUS, account_id, status)
    if row is None:
        raise AccountNotFound(account_id)
    return account_of(row)
