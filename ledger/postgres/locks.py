"""Row locks of the books: a transfer, an account, or a transfer and then one of its accounts, in that order.

`FOR NO KEY UPDATE` everywhere: plain `FOR UPDATE` deadlocks with the foreign-key checks of concurrent inserts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ledger.accounts import Account
from ledger.ids import AccountId, TransferId
from ledger.postgres.rows import ACCOUNT_COLUMNS, TRANSFER_COLUMNS, Row, account_of, transfer_of
from ledger.refusals import UnknownTransfer
from ledger.transfers import Side, Transfer

if TYPE_CHECKING:
    from database.connections import Connection

_LOCK_TRANSFER = f"""
    SELECT {TRANSFER_COLUMNS}, clock_timestamp() AS now FROM transfers t WHERE t.id = $1 FOR NO KEY UPDATE
"""

# Sorted, so that two batches that lock the same rows cannot deadlock.
_LOCK_FREE_TRANSFERS = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = ANY ($1::text[]) ORDER BY t.id
    FOR NO KEY UPDATE SKIP LOCKED
"""

_LOCK_ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE a.id = $1 FOR NO KEY UPDATE"

# Staff wait for an account that somebody holds, in PostgreSQL's own queue for the row.
STAFF_LOCK_SECONDS = 8

# The second CTE depends on the first, so the transfer is locked before the account.
_LOCK = """
    WITH t AS MATERIALIZED (SELECT * FROM transfers WHERE id = $1 FOR NO KEY UPDATE),
    a AS MATERIALIZED (
        SELECT accounts.* FROM accounts JOIN t ON accounts.id = t.{side}_account_id FOR NO KEY UPDATE OF accounts
    )
    SELECT {transfer}, {account}, clock_timestamp() AS now FROM t LEFT JOIN a ON true
"""
_LOCK_WITH: dict[Side, str] = {
    "source": _LOCK.format(side="source", transfer=TRANSFER_COLUMNS, account=ACCOUNT_COLUMNS),
    "destination": _LOCK.format(side="destination", transfer=TRANSFER_COLUMNS, account=ACCOUNT_COLUMNS),
}


async def lock_transfer(connection: "Connection", transfer_id: TransferId) -> tuple[Transfer, datetime]:
    """The transfer under its lock, and PostgreSQL's time. Raises `UnknownTransfer`."""
    row = _known(await connection.fetchrow(_LOCK_TRANSFER, transfer_id), transfer_id)
    return transfer_of(row), row["now"]


async def lock_free_transfers(connection: "Connection", transfer_ids: Sequence[TransferId]) -> list[Transfer]:
    """Those of the transfers whose rows nobody else has locked, under their locks."""
    return [transfer_of(row) for row in await connection.fetch(_LOCK_FREE_TRANSFERS, transfer_ids)]


async def lock_transfer_and_account(
    connection: "Connection", transfer_id: TransferId, side: Side
) -> tuple[Transfer, Account | None, datetime]:
    """The same with the account on that side; None for `world` and for an account that does not exist."""
    row = _known(await connection.fetchrow(_LOCK_WITH[side], transfer_id), transfer_id)
    return transfer_of(row), account_of(row) if row["a_id"] else None, row["now"]


async def lock_account(connection: "Connection", account_id: AccountId) -> Account | None:
    """The account under its lock."""
    row = await connection.fetchrow(_LOCK_ACCOUNT, account_id)
    return account_of(row) if row else None


async def lock_account_for_staff(connection: "Connection", account_id: AccountId) -> Account | None:
    """The same, waiting longer than a step for whoever holds it."""
    await connection.execute(
        f"SET LOCAL lock_timeout = '{STAFF_LOCK_SECONDS}s'; SET LOCAL statement_timeout = '{STAFF_LOCK_SECONDS + 1}s'"
    )
    row = await connection.fetchrow(_LOCK_ACCOUNT, account_id, timeout=STAFF_LOCK_SECONDS + 2)
    return account_of(row) if row else None


def _known(row: Row | None, transfer_id: TransferId) -> Row:
    if row is None:
        raise UnknownTransfer(transfer_id)
    return row
