"""Staff steer transfers under way: each action with its reason, recorded, and safe whatever happens at once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.headers import SteeringKey, WaitSeconds
from api.models_admin import (
    AnsweredOut,
    AnyTransferOut,
    BatchOut,
    BatchStartedOut,
    DecisionIn,
    DecisionsIn,
    ReasonIn,
)
from api.operators import ACTING, LOOKING, Staff, may
from api.problems import Problem, problem_responses
from api.state import Remit
from api.steering import Steered
from ledger.ids import TransferId
from ledger.operators import Action, Actor
from ledger.postgres.oversight import TransferSearch
from ledger.transfers import State

router = APIRouter(prefix="/v1/admin", tags=["admin"])

_STEERING = (*ACTING, "transfer_not_found", "temporal_unavailable")
_KEYED = (*_STEERING, "idempotency_key_invalid", "idempotency_key_reused")
MOST_AT_ONCE = 1_000


def _answered(steered: Steered, response: Response) -> AnsweredOut:
    if steered.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return AnsweredOut(answer=steered.answer)


@router.post(
    "/transfers/{transfer_id}/decisions",
    summary="Decide about a transfer in review",
    responses=problem_responses(*_STEERING, "too_late", "decision_refused"),
)
async def decide(
    transfer_id: TransferId,
    wanted: DecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_REVIEW))],
    remit: Remit,
    response: Response,
) -> AnsweredOut:
    """One rejection ends it; an approval lets it go on, two of different people where the amount asks for it.

    A decision that comes before the review begins is kept for it. The same word of the same person again is answered
    as before, and recorded once.
    """
    transfer = await remit.steering.transfer(transfer_id)
    return _answered(await remit.steering.decide(actor, transfer, wanted.ruling, wanted.reason), response)


@router.post(
    "/transfers/{transfer_id}/cancel",
    summary="Cancel any transfer",
    responses=problem_responses(*_KEYED, "too_late", "too_late_to_cancel", "workflow_lost"),
)
async def cancel(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.CANCEL_TRANSFER))],
    remit: Remit,
    key: SteeringKey,
    response: Response,
) -> AnyTransferOut:
    """Until its credit: what is in transit already goes back to its source."""
    transfer = await remit.steering.transfer(transfer_id)
    cancelled, steered = await remit.steering.cancel(actor, transfer, wanted.reason, key)
    _answered(steered, response)
    return AnyTransferOut.told(cancelled, remit.web_ui.workflow(cancelled.workflow_id))


@router.post(
    "/transfers/{transfer_id}/retry",
    status_code=status.HTTP_201_CREATED,
    summary="Try any failed or compensated transfer again",
    responses=problem_responses(*_KEYED, "prefer_invalid", "not_retryable", "attempts_used_up", "reversal_too_large"),
)
async def retry(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RETRY_TRANSFER))],
    remit: Remit,
    wait: WaitSeconds,
    key: SteeringKey,
    response: Response,
) -> AnyTransferOut:
    """Under the same id and key; at most 3 attempts in all.

    A reversal is tried again by admins, by operators where a dispute was decided so, and only while it still fits.
    """
    transfer = await remit.steering.transfer(transfer_id)
    begun, steered = await remit.steering.retry(actor, transfer, wanted.reason, wait, key)
    _answered(steered, response)
    response.status_code = status.HTTP_201_CREATED if begun.state.is_final else status.HTTP_202_ACCEPTED
    return AnyTransferOut.told(begun, remit.web_ui.workflow(begun.workflow_id))


@router.post(
    "/transfers/{transfer_id}/retry-now",
    summary="Try a stuck step at once",
    responses=problem_responses(*_KEYED, "too_late", "nothing_to_retry", "workflow_lost"),
)
async def retry_now(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RETRY_STEP))],
    remit: Remit,
    key: SteeringKey,
    response: Response,
) -> AnsweredOut:
    """It is retried by itself as well; this only spares the pause."""
    transfer = await remit.steering.transfer(transfer_id)
    return _answered(await remit.steering.retry_step(actor, transfer, wanted.reason, key), response)


@router.post(
    "/transfers/{transfer_id}/give-back",
    summary="Give an undelivered amount back",
    responses=problem_responses(*_KEYED, "too_late", "workflow_lost"),
)
async def give_back(
    transfer_id: TransferId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.GIVE_BACK))],
    remit: Remit,
    key: SteeringKey,
    response: Response,
) -> AnsweredOut:
    """The ledger decides: an amount that was delivered meanwhile stays delivered."""
    transfer = await remit.steering.transfer(transfer_id)
    return _answered(await remit.steering.give_back(actor, transfer, wanted.reason, key), response)


@router.post(
    "/reviews/decisions",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Decide about many transfers in review",
    responses=problem_responses(*ACTING, "nothing_matches", "temporal_unavailable"),
)
async def decide_many(
    wanted: DecisionsIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_REVIEW))],
    remit: Remit,
    response: Response,
) -> BatchStartedOut:
    """One decision for everything in review that the filter matches, at most 1,000 transfers a call.

    Each takes or refuses it as if it came alone; follow it at Location.
    """
    search = TransferSearch(
        state=State.IN_REVIEW,
        account_id=wanted.account_id,
        owner_id=wanted.owner_id,
        currency=wanted.currency,
        least_minor=wanted.min_amount,
        most_minor=wanted.max_amount,
    )
    found = await remit.oversight.transfers(search, MOST_AT_ONCE)
    if not found:
        raise Problem("nothing_matches")
    batch_id = await remit.steering.decide_many(actor, found, wanted.ruling, wanted.reason)
    response.headers["Location"] = f"/v1/admin/{batch_id}"
    return BatchStartedOut(id=batch_id, total=len(found))


@router.get(
    "/decisions/{batch}",
    summary="Follow a batch of decisions",
    responses=problem_responses(*LOOKING, "batch_not_found", "temporal_unavailable"),
)
async def batch(batch: str, _: Staff, remit: Remit) -> BatchOut:
    """How many transfers have taken the decision, and which refused it and why."""
    return BatchOut.of(f"decisions/{batch}", await remit.steering.batch(f"decisions/{batch}"))
