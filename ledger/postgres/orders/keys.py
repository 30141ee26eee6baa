"""Idempotency keys of orders: which transfer a key names. A key that is written never names another one."""

from typing import TYPE_CHECKING

from ledger.ids import TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, Row
from ledger.refusals import OrderMismatch
from ledger.transfers import TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection

# Without a transfer: the key was used for a request that moves no money.
_FIND_BY_KEY = f"""
    SELECT {TRANSFER_COLUMNS}
    FROM keys k LEFT JOIN transfers t ON t.id = k.transfer_id WHERE k.owner_id = $1 AND k.idempotency_key = $2
"""

_WRITE_KEY = """
    INSERT INTO keys (owner_id, idempotency_key, transfer_id) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING transfer_id
"""

_NAMED_BY_KEY = "SELECT transfer_id FROM keys WHERE owner_id = $1 AND idempotency_key = $2"


async def find_by_key(connection: "Connection", order: TransferOrder) -> Row | None:
    """The key's row and its transfer's, whose columns are null for a key without a transfer. None: the key is free."""
    return await connection.fetchrow(_FIND_BY_KEY, order.owner_id, order.idempotency_key)


async def write_key(connection: "Connection", order: TransferOrder, first: TransferId) -> None:
    """Let this order's key name the transfer whose `transaction_id` it repeats. A repeat changes nothing.

    Raises `OrderMismatch` where another request has the key already.
    """
    key = (order.owner_id, order.idempotency_key)
    if await connection.fetchval(_WRITE_KEY, *key, first) is not None:
        return
    # A statement of its own: it sees the row that the insert has met, whenever that was committed.
    if await connection.fetchval(_NAMED_BY_KEY, *key) != first:
        raise OrderMismatch(order.transfer_id)
