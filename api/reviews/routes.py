"""Staff decide about transfers in review. A decision is recorded before its workflow hears of it."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.http.paging import next_cursor
from api.http.problems import FieldError, Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.reviews.models import (
    DecisionIn,
    DecisionsIn,
    DecisionsOut,
    OpenReviewOut,
    OpenReviewsOut,
    ReviewDecisionOut,
    ReviewFilters,
)
from api.services import Remit, Services
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.interventions import ActionAnswer
from api.staff.models import AnsweredOut, answered
from api.transfers.staff_models import AnyTransferOut
from ledger.ids import TransferId
from ledger.transfers import State, Step, Transfer
from reviews.open_reviews.postgres import OpenReview
from reviews.postgres import RecordedDecision
from reviews.review import Decision
from staff.permissions import Action, Actor
from staff.postgres.transfer_search import TransferSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "/reviews",
    operation_id="admin.reviews.list",
    summary="List the reviews that wait",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def reviews(wanted: Annotated[ReviewFilters, Query()], reader: Staff, remit: Remit) -> OpenReviewsOut:
    """Transfers in review, newest first: until when each may wait, how many must approve it, and who has decided.

    What the rules saw is at `GET /v1/admin/transfers/{id}/verdicts`.
    """
    before = remit.cursors.read_place("reviews", wanted.cursor)
    search = TransferSearch(state=State.IN_REVIEW, hidden_from=reader.id, before=before)
    page = await remit.transfer_searches.find(search, wanted.limit)
    found = await remit.open_reviews.of(reader.id, page.items)
    return OpenReviewsOut(
        items=[_waiting(transfer, found.get(transfer.id), remit) for transfer in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("reviews", last.created_at, last.id)),
    )


def _waiting(transfer: Transfer, review: OpenReview | None, remit: Services) -> OpenReviewOut:
    decisions = review.decisions if review else []
    return OpenReviewOut(
        transfer=AnyTransferOut.for_staff(transfer, remit.web_ui.workflow(transfer.workflow_id)),
        began_at=review.began_at if review else None,
        deadline=review.deadline if review else None,
        approvals=review.approvals if review else None,
        decisions=[ReviewDecisionOut.model_validate(each, from_attributes=True) for each in decisions],
    )


@router.post(
    "/transfers/{transfer_id}/decisions",
    operation_id="admin.transfers.decide",
    summary="Decide about a transfer in review",
    responses=problem_responses(*ACTING, *KEYED, "transfer_not_found", "too_late", "decided_already"),
)
async def decide(
    transfer_id: TransferId,
    wanted: DecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_REVIEW))],
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> AnsweredOut:
    """One rejection ends it; an approval lets it go on, two of different people if the amount needs it.

    A decision that comes before the review begins is kept for it. A reviewer's first decision is final: the same one
    again is answered as before, and recorded once. Works without a worker and without Temporal.
    """
    transfer = await remit.interventions.transfer(transfer_id)
    decision = Decision(actor.id, wanted.ruling, wanted.reason)
    keep = answers.keep(_answered)
    recorded = await remit.reviews.decide(Step(transfer.id, transfer.attempt), decision, keep=keep)
    await remit.temporal.nudge_review(recorded.transfer)
    return answered(ActionAnswer(recorded.decision.answer, recorded.replayed), response)


def _answered(recorded: RecordedDecision) -> AnsweredOut:
    return AnsweredOut(answer=recorded.decision.answer)


@router.post(
    "/reviews/decisions",
    operation_id="admin.reviews.decide",
    summary="Decide about many transfers in review",
    responses=problem_responses(*ACTING, *KEYED, "transfer_not_found", "nothing_matches", "more_than_seen"),
)
async def decide_many(
    wanted: DecisionsIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_REVIEW))],
    remit: Remit,
    answers: KeptAnswers,
) -> DecisionsOut:
    """One decision about transfers that the reviewer has seen: named one by one, or as a list, at most 1,000.

    A list is its filter, `created_before` and `total`. What came into review later is left out, and so is what the
    reviewer has decided about. If more transfers match than the reviewer saw, none is decided.

    All decisions of a call commit together. Each transfer takes or refuses it as if it came alone; if one of them is
    the reviewer's own, none is decided. Their workflows go on within seconds.
    """
    if wanted.transfer_ids is not None:
        found = await remit.reviews.find_named(wanted.transfer_ids)
        if unknown := set(wanted.transfer_ids) - {each.id for each in found}:
            raise Problem("transfer_not_found", f"There is no transfer {min(unknown)}. None is decided.")
    else:
        found = await _transfers_listed(wanted, actor, remit)
    if not found:
        raise Problem("nothing_matches")
    decision = Decision(actor.id, wanted.ruling, wanted.reason)
    keep = answers.keep(DecisionsOut.of)
    batch = await remit.reviews.decide_many([Step(each.id, each.attempt) for each in found], decision, keep)
    remit.temporal.nudge_reviews(batch.taken)
    return DecisionsOut.of(batch)


async def _transfers_listed(wanted: DecisionsIn, actor: Actor, remit: Services) -> list[Transfer]:
    """The transfers of the list that the reviewer read. Raises a problem where there are more by now.

    What the list hides from the reviewer is left out here, too.
    """
    assert wanted.created_before is not None
    assert wanted.total is not None
    if wanted.created_before > (now := datetime.now(UTC)):
        later = FieldError(field="body.created_before", message=f"It is {now.isoformat()} now: nobody saw later lists")
        raise Problem("validation_failed", f"{later.field}: {later.message}.", errors=[later])
    search = TransferSearch(
        state=State.IN_REVIEW,
        account_id=wanted.account_id,
        owner_id=wanted.owner_id,
        currency=wanted.currency,
        least_minor=wanted.min_amount,
        most_minor=wanted.max_amount,
        created_before=wanted.created_before,
        unchanged_since=wanted.created_before,
        hidden_from=actor.id,
    )
    page = await remit.reviews.find_undecided(search, actor.id, wanted.total)
    if page.has_more:
        raise Problem("more_than_seen", f"More than {wanted.total} transfers match. Read the list again.")
    return page.items
