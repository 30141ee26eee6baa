"""Disputes for staff: the list of all, and the decision about one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.disputes.models import DisputeDecisionIn, DisputeFilters, DisputeOut, DisputesOut
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit, Services
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from disputes.dispute import DisputeDecision, NoSuchDispute
from disputes.postgres.dispute_reads import DisputeFile
from ledger.ids import DisputeId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/disputes", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "",
    operation_id="admin.disputes.list",
    summary="Find disputes",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def disputes(
    reader: Staff,
    remit: Remit,
    wanted: Annotated[DisputeFilters, Query()],
) -> DisputesOut:
    """All customers' disputes, newest first, without their statements. Of their own, staff see what a party sees."""
    before = remit.cursors.read_place("all disputes", wanted.cursor)
    page = await remit.disputes.all_of(None, wanted.state, before, wanted.limit, within=wanted.span)
    return DisputesOut(
        items=[DisputeOut.of(dispute, [], as_staff=reader.id not in dispute.parties) for dispute in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("all disputes", last.created_at, last.id)),
    )


@router.post(
    "/{dispute_id}/decisions",
    operation_id="admin.disputes.decide",
    summary="Decide a dispute",
    responses=problem_responses(*ACTING, *KEYED, "dispute_not_found", "dispute_closed", "decision_refused"),
)
async def decide(
    dispute_id: DisputeId,
    wanted: DisputeDecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_DISPUTE))],
    remit: Remit,
    answers: KeptAnswers,
) -> DisputeOut:
    """Reverse or reject. The first decision is final, and a repeat of it returns the same answer.

    A decision to reverse is carried out without another request: `reversing` becomes `reversed`, or `reversal_failed`,
    and the reversal's failure says why.
    """
    decision = DisputeDecision(actor.id, wanted.ruling, wanted.reason, wanted.amount)
    keep = answers.keep(_for_staff)
    decided = await remit.disputes.decide(dispute_id, decision, keep=keep)
    await remit.temporal.nudge_dispute(decided)
    return await _as_staff(dispute_id, remit)


@router.post(
    "/{dispute_id}/hold",
    operation_id="admin.disputes.hold",
    summary="Hold the disputed amount",
    responses=problem_responses(*ACTING, *KEYED, "dispute_not_found", "dispute_closed", "nothing_to_hold"),
)
async def hold(
    dispute_id: DisputeId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.HOLD_AMOUNT))],
    remit: Remit,
    answers: KeptAnswers,
) -> DisputeOut:
    """Hold what is left to reverse on the payee's account, or as much of it as is free: `held_amount` says how much.

    The payee cannot spend it, and a reversal of the transfer can. It ends with a rejection, the deadline or a reversal.
    After `reversal_failed` it stays for a retry. A repeat holds more if more is free by then.
    """
    await remit.dispute_holds.hold(dispute_id, actor, wanted.reason, answers.keep(_for_staff))
    return await _as_staff(dispute_id, remit)


@router.post(
    "/{dispute_id}/release",
    operation_id="admin.disputes.release",
    summary="Release the disputed amount",
    responses=problem_responses(*ACTING, *KEYED, "dispute_not_found", "dispute_closed"),
)
async def release(
    dispute_id: DisputeId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RELEASE_AMOUNT))],
    remit: Remit,
    answers: KeptAnswers,
) -> DisputeOut:
    """The payee can spend it again."""
    await remit.dispute_holds.release(dispute_id, actor, wanted.reason, answers.keep(_for_staff))
    return await _as_staff(dispute_id, remit)


async def _as_staff(dispute_id: DisputeId, remit: Services) -> DisputeOut:
    found = await remit.disputes.find(dispute_id)
    if found is None:
        raise NoSuchDispute(dispute_id)
    return _for_staff(found)


def _for_staff(file: DisputeFile) -> DisputeOut:
    return DisputeOut.of(*file, as_staff=True)
