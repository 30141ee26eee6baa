"""Transfers that are not final: what recovery looks at."""

from collections.abc import AsyncIterator
from datetime import datetime

from database.connections import Database
from ledger.ids import TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of
from ledger.transfers import State, TransferOrder

_UNFINISHED = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t
    WHERE state IN ('initiated', 'in_review', 'debited')
        AND (state = 'debited') = $2
        AND updated_at <= clock_timestamp() - make_interval(secs => $1)
        AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4))
    ORDER BY created_at, id LIMIT 1000
"""

_HAS_NOT_MOVED = "SELECT 1 FROM transfers WHERE id = $1 AND attempt = $2 AND state = $3"


class Unfinished:
    """Reads only. Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def transfers(self, older_than_seconds: int) -> AsyncIterator[tuple[TransferOrder, State]]:
        """Transfers that are not final and have not changed for so long: all of them, page by page.

        Those in transit come first, and the oldest first among them and among the others.
        """
        for in_transit in (True, False):
            after: tuple[datetime, TransferId] | tuple[None, None] = (None, None)
            while True:
                async with self._database.connection() as connection:
                    rows = await connection.fetch(_UNFINISHED, older_than_seconds, in_transit, *after)
                if not rows:
                    break
                for transfer in map(transfer_of, rows):
                    yield transfer.order, transfer.state
                    after = (transfer.created_at, transfer.id)

    async def has_not_moved(self, order: TransferOrder, state: State) -> bool:
        """Whether the transfer is still in this state, and in this order's attempt."""
        async with self._database.connection() as connection:
            return await connection.fetchrow(_HAS_NOT_MOVED, order.transfer_id, order.attempt, state) is not None
