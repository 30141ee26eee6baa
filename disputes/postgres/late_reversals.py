"""Disputes whose decided reversal failed, was retried by staff, and has succeeded since: they end as reversed."""

from sqlalchemy import and_, bindparam, select
from sqlalchemy.sql import Select

from database.connections import Database
from database.statements import fetch, fetch_first, one_of
from disputes.dispute import DisputeState, ending_of
from disputes.postgres.dispute_reads import lock_dispute, transfer_of_dispute
from disputes.postgres.endings import end_dispute
from disputes.postgres.tables import disputes
from ledger.ids import DisputeId, TransferId
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import transfers
from ledger.transfers import State

# How many one sweep ends. The next sweep ends the others.
_AT_ONCE = 200

_FAILED = and_(one_of(disputes.c.state, [DisputeState.REVERSAL_FAILED]), disputes.c.reversal_transfer_id.is_not(None))
_SUCCEEDED: Select[tuple[str]] = (
    select(disputes.c.id)
    .join_from(disputes, transfers, transfers.c.id == disputes.c.reversal_transfer_id)
    .where(_FAILED, transfers.c.state == State.COMPLETED)
    .limit(_AT_ONCE)
)
_OF_REVERSAL = _SUCCEEDED.where(disputes.c.reversal_transfer_id == bindparam("reversal_id"))
_REVERSAL = select(*TRANSFER).where(transfers.c.id == bindparam("reversal_id"))


class LateReversals:
    """Raises `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end_of(self, reversal_id: TransferId) -> None:
        """End the dispute that led to this reversal as reversed, if it had failed and has succeeded since."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _OF_REVERSAL, reversal_id=reversal_id)
        if row is not None:
            await self._end(row["id"])

    async def end_all(self) -> list[DisputeId]:
        """The same for every such dispute, at most 200 a call. Recovery calls it: it misses none."""
        async with self._database.connection() as connection:
            found = [row["id"] for row in await fetch(connection, _SUCCEEDED)]
        for dispute_id in found:
            await self._end(dispute_id)
        return found

    async def _end(self, dispute_id: DisputeId) -> None:
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            if dispute.state is not DisputeState.REVERSAL_FAILED or dispute.reversal_transfer_id is None:
                return
            row = await fetch_first(connection, _REVERSAL, reversal_id=dispute.reversal_transfer_id)
            reversal = transfer_of(row) if row else None
            if reversal is None or reversal.state is not State.COMPLETED:
                return
            ending = ending_of(reversal, str(reversal.amount), impossible=False)
            assert ending is not None, "it is completed"
            transfer = await transfer_of_dispute(connection, dispute)
            await end_dispute(connection, dispute, transfer, *ending, reversal.id)
