"""Staff decide about transfers in review."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.http.problems import Problem, problem_responses
from api.reviews.models import BatchOut, BatchStartedOut, DecisionIn, DecisionsIn
from api.services import Remit
from api.staff.authorization import ACTING, LOOKING, STEERING, Staff, may
from api.staff.models import AnsweredOut, answered
from ledger.ids import TransferId
from ledger.transfers import State
from staff.permissions import Action, Actor
from staff.postgres.transfer_search import TransferSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"])

MOST_AT_ONCE = 1_000


@router.post(
    "/transfers/{transfer_id}/decisions",
    summary="Decide about a transfer in review",
    responses=problem_responses(*STEERING, "too_late", "decision_refused"),
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
    return answered(await remit.steering.decide(actor, transfer, wanted.ruling, wanted.reason), response)


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
    found = (await remit.transfer_searches.find(search, MOST_AT_ONCE)).items
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
