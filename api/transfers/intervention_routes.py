"""Staff intervene in transfers under way. Each action has its reason, is recorded, and is safe to repeat."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.http.headers import OptionalIdempotencyKey, WaitSeconds
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import INTERVENING, may
from api.staff.models import AnsweredOut, ReasonIn, answered
from api.transfers.responses import RETRY_PROBLEMS, accepted, show_progress
from api.transfers.staff_models import AnyTransferOut
from ledger.ids import TransferId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)


_KEYED = (*INTERVENING, "idempotency_key_invalid", "idempotency_key_reused")


@router.post(
    "/transfers/{transfer_id}/cancel",
    operation_id="admin.transfers.cancel",
    summary="Cancel any transfer",
    responses=problem_responses(*_KEYED, "too_late", "too_late_to_cancel", "workflow_lost"),
)
async def cancel(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.CANCEL_TRANSFER))],
    remit: Remit,
    key: OptionalIdempotencyKey,
    response: Response,
) -> AnyTransferOut:
    """Until its credit: what is in transit already goes back to its source."""
    transfer = await remit.interventions.transfer(transfer_id)
    cancelled, answer = await remit.interventions.cancel(actor, transfer, wanted.reason, key)
    answered(answer, response)
    return AnyTransferOut.for_staff(cancelled, remit.web_ui.workflow(cancelled.workflow_id))


@router.post(
    "/transfers/{transfer_id}/retry",
    status_code=status.HTTP_201_CREATED,
    operation_id="admin.transfers.retry",
    summary="Try any failed or compensated transfer again",
    responses=accepted(AnyTransferOut) | problem_responses(*_KEYED, *RETRY_PROBLEMS),
)
async def retry(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RETRY_TRANSFER))],
    remit: Remit,
    wait: WaitSeconds,
    key: OptionalIdempotencyKey,
    response: Response,
) -> AnyTransferOut:
    """Under the same id and key; at most 3 attempts in all.

    A reversal is tried again by admins, by operators where a dispute was decided so, and only while it still fits.
    """
    transfer = await remit.interventions.transfer(transfer_id)
    begun, answer = await remit.interventions.retry(actor, transfer, wanted.reason, wait, key)
    answered(answer, response)
    show_progress(begun, response, f"/v1/admin/transfers/{begun.id}")
    return AnyTransferOut.for_staff(begun, remit.web_ui.workflow(begun.workflow_id))


@router.post(
    "/transfers/{transfer_id}/retry-now",
    operation_id="admin.transfers.retry_now",
    summary="Try a stuck step at once",
    responses=problem_responses(*_KEYED, "too_late", "nothing_to_retry", "workflow_lost"),
)
async def retry_now(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RETRY_STEP))],
    remit: Remit,
    key: OptionalIdempotencyKey,
    response: Response,
) -> AnsweredOut:
    """It is retried by itself as well; this only spares the pause."""
    transfer = await remit.interventions.transfer(transfer_id)
    return answered(await remit.interventions.retry_step(actor, transfer, wanted.reason, key), response)


@router.post(
    "/transfers/{transfer_id}/give-back",
    operation_id="admin.transfers.give_back",
    summary="Give an undelivered amount back",
    responses=problem_responses(*_KEYED, "too_late", "workflow_lost"),
)
async def give_back(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.GIVE_BACK))],
    remit: Remit,
    key: OptionalIdempotencyKey,
    response: Response,
) -> AnsweredOut:
    """The ledger decides: an amount that was delivered meanwhile stays delivered."""
    transfer = await remit.interventions.transfer(transfer_id)
    return answered(await remit.interventions.give_back(actor, transfer, wanted.reason, key), response)
