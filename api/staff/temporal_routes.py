"""What staff read of Temporal without its Web UI: why a transfer is stuck, and how recovery is doing."""

import asyncio

from fastapi import APIRouter

from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.staff.temporal_models import PendingStepOut, RecoveryOut, RowHolderOut, StuckOut, SweepOut
from ledger.ids import TransferId

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)

LAST_SWEEPS = 10


@router.get(
    "/transfers/{transfer_id}/pending-step",
    operation_id="admin.transfers.get_pending_step",
    summary="Get why a transfer is stuck",
    responses=problem_responses(*READING, "transfer_not_found", "temporal_unavailable"),
)
async def pending_step(transfer_id: TransferId, reader: Staff, remit: Remit) -> StuckOut:
    """The step that its workflow waits for, with its last failure, and who holds the rows of its accounts now."""
    file = await remit.transfer_files.read(reader.id, transfer_id)
    if file is None:
        raise Problem("transfer_not_found", f"There is no transfer {transfer_id}.")
    transfer = file.transfer
    accounts = [transfer.source_account_id, transfer.destination_account_id]
    pending = None if transfer.state.is_final else await remit.temporal.pending_step(transfer)
    holders = [] if transfer.state.is_final else await remit.row_holders.of(accounts)
    return StuckOut(
        pending=PendingStepOut.model_validate(pending, from_attributes=True) if pending else None,
        holders=[RowHolderOut.model_validate(holder, from_attributes=True) for holder in holders],
    )


@router.get(
    "/recovery",
    operation_id="admin.recovery.get",
    summary="Get recovery's schedule and its last sweeps",
    responses=problem_responses(*READING, "temporal_unavailable"),
)
async def recovery(_: Staff, remit: Remit) -> RecoveryOut:
    """Whether somebody has paused it, when it comes next, and what its last ten sweeps did."""
    schedule = await remit.temporal.recovery_schedule()
    if schedule is None:
        return RecoveryOut(is_scheduled=False, is_paused=False, note=None, next_sweep_at=None, sweeps=[])
    sweeps = await asyncio.gather(*(remit.temporal.recovery_sweep(run) for run in schedule.runs[:LAST_SWEEPS]))
    return RecoveryOut(
        is_scheduled=True,
        is_paused=schedule.is_paused,
        note=schedule.note or None,
        next_sweep_at=None if schedule.is_paused else schedule.next_sweep_at,
        sweeps=[SweepOut.of(each, remit.web_ui.workflow(each.workflow_id)) for each in sweeps if each],
    )
