"""Disputes for staff: the list of all, and the decision about one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.disputes.models import DisputeDecisionIn, DisputeOut, DisputesOut
from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor, place_in, place_of
from api.http.problems import problem_responses
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from disputes.dispute import DisputeDecision, DisputeState, NoSuchDispute
from ledger.ids import DisputeId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/disputes", tags=["admin"])


@router.get("", summary="Find disputes", responses=problem_responses(*READING, "cursor_invalid", "validation_failed"))
async def disputes(
    _: Staff,
    remit: Remit,
    state: Annotated[DisputeState | None, Query()] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> DisputesOut:
    """All customers' disputes, newest first, without their statements."""
    page = await remit.disputes.all_of(None, state, place_in(cursor), limit)
    return DisputesOut(
        items=[DisputeOut.of(dispute, [], as_staff=True) for dispute in page.items],
        next_cursor=next_cursor(page, lambda last: place_of(last.created_at, last.id)),
    )


@router.post(
    "/{dispute_id}/decisions",
    summary="Decide a dispute",
    responses=problem_responses(*ACTING, "dispute_not_found", "dispute_closed", "decision_refused"),
)
async def decide(
    dispute_id: DisputeId,
    wanted: DisputeDecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_DISPUTE))],
    remit: Remit,
) -> DisputeOut:
    """Reverse or reject. The first decision is final, and a repeat of it returns the same answer.

    A decision to reverse is carried out without another request: `reversing` becomes `reversed`, or `reversal_failed`,
    and the reversal's failure says why.
    """
    decision = DisputeDecision(actor.id, wanted.ruling, wanted.reason, wanted.amount)
    decided = await remit.disputes.decide(dispute_id, decision)
    await remit.temporal.nudge_dispute(decided)
    found = await remit.disputes.find(dispute_id)
    if found is None:
        raise NoSuchDispute(dispute_id)
    return DisputeOut.of(*found, as_staff=True)
