"""Freezes and closes accounts without a record of staff: for tests, never in the product."""

from database.connections import Database
from devenv.demo.postgres import SET_STATUS
from ledger.accounts import Account, AccountStatus, Freeze
from ledger.ids import AccountId
from ledger.postgres.rows import account_of
from ledger.refusals import AccountNotFound


async def set_account_status(database: Database, account_id: AccountId, status: AccountStatus) -> Account:
    """Freeze, open or close an account. Waits for a step that holds it, and holds it against steps meanwhile.

    Raises `AccountNotFound`.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(SET_STATUS, account_id, status)
    if row is None:
        raise AccountNotFound(account_id)
    return account_of(row)


async def set_freeze(database: Database, account_id: AccountId, frozen: Freeze) -> None:
    """Freeze an account in this way, or change how it is frozen."""
    async with database.connection() as connection:
        await connection.execute("UPDATE accounts SET status = 'frozen', frozen = $2 WHERE id = $1", account_id, frozen)
