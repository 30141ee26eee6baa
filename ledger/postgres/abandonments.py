"""The record of each attempt that recovery ended, written in the transaction that ends it."""

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from database.rows import columns_for, dataclass_of
from database.statements import execute, fetch
from ledger.ids import TransferId
from ledger.postgres.tables import abandonments
from ledger.recovery import Abandonment, SweepRun
from ledger.transfers import State, Transfer

if TYPE_CHECKING:
    from database.connections import Connection

_OF_TRANSFER = (
    select(*columns_for(Abandonment, abandonments))
    .where(abandonments.c.transfer_id == bindparam("transfer_id"))
    .order_by(abandonments.c.attempt)
)


async def record_abandonment(connection: "Connection", before: Transfer, run: SweepRun, state_after: State) -> None:
    """Keep that this run ends the transfer, as it was before. The caller holds its lock. A repeat keeps the first."""
    reason = f"No workflow ran for it, and nothing had happened to it since {before.updated_at:%Y-%m-%d %H:%M:%S} UTC."
    new = insert_or_skip(abandonments).values(
        transfer_id=before.id,
        attempt=before.attempt,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        reason=reason,
        state_before=before.state,
        state_after=state_after,
    )
    await execute(connection, new.on_conflict_do_nothing())


async def abandonments_of(connection: "Connection", transfer_id: TransferId) -> list[Abandonment]:
    """The attempts of this transfer that recovery ended, oldest first."""
    return [dataclass_of(Abandonment, row) for row in await fetch(connection, _OF_TRANSFER, transfer_id=transfer_id)]
