"""Staff decide about transfers in review. A decision is recorded before its workflow hears of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api.http.problems import Problem, problem_responses
from api.reviews.models import DecisionIn, DecisionsIn, DecisionsOut
from api.services import Remit
from api.staff.authorization import ACTING, may
from api.staff.interventions import ActionAnswer
from api.staff.models import AnsweredOut, answered
from ledger.ids import TransferId
from ledger.transfers import State, Step
from reviews.review import Decision
from staff.permissions import Action, Actor
from staff.postgres.transfer_search import TransferSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"])

MOST_AT_ONCE = 1_000


@router.post(
    "/transfers/{transfer_id}/decisions",
    summary="Decide about a transfer in review",
    responses=problem_responses(*ACTING, "transfer_not_found", "too_late", "decided_already"),
)
async def decide(
    transfer_id: TransferId,
    wanted: DecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_REVIEW))],
    remit: Remit,
    response: Response,
) -> AnsweredOut:
    """One rejection ends it; an approval lets it go on, two of different people if the amount needs it.

    A decision that comes before the review begins is kept for it. A reviewer's first decision is final: the same one
    again is answered as before, and recorded once. Works without a worker and without Temporal.
    """
    transfer = await remit.interventions.transfer(transfer_id)
    decision = Decision(actor.id, wanted.ruling, wanted.reason)
    recorded = await remit.reviews.decide(Step(transfer.id, transfer.attempt), decision)
    await remit.temporal.nudge_review(recorded.transfer)
    return answered(ActionAnswer(recorded.decision.answer, recorded.replayed), response)


@router.post(
    "/reviews/decisions",
    summary="Decide about many transfers in review",
    responses=problem_responses(*ACTING, "nothing_matches"),
)
async def decide_many(
    wanted: DecisionsIn, actor: Annotated[Actor, Depends(may(Action.DECIDE_REVIEW))], remit: Remit
) -> DecisionsOut:
    """One decision for everything in review that the filter matches, at most 1,000 transfers a call, newest first.

    A call leaves out what its reviewer has decided about, so the next one continues with the rest until nothing
    matches. All decisions of a call commit together. Each transfer takes or refuses it as if it came alone; if one of
    them is the reviewer's own, none is decided. Their workflows go on within seconds.
    """
    search = TransferSearch(
        state=State.IN_REVIEW,
        account_id=wanted.account_id,
        owner_id=wanted.owner_id,
        currency=wanted.currency,
        least_minor=wanted.min_amount,
        most_minor=wanted.max_amount,
    )
    found = await remit.reviews.find_undecided(search, actor.id, MOST_AT_ONCE)
    if not found:
        raise Problem("nothing_matches")
    decision = Decision(actor.id, wanted.ruling, wanted.reason)
    batch = await remit.reviews.decide_many([Step(each.id, each.attempt) for each in found], decision)
    remit.temporal.nudge_reviews(batch.taken)
    return DecisionsOut.of(batch)
