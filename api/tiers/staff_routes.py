"""Requests for a higher tier for staff: the list of all, and the decisions about one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.tiers.models import (
    TierDecisionIn,
    TierDecisionOut,
    TierRequestFileOut,
    TierRequestFilesOut,
    TierRequestFilters,
    TierRequestWithDecisionsOut,
)
from ledger.ids import TierRequestId
from staff.permissions import Action, Actor
from tiers.tier_request import TierDecision

router = APIRouter(prefix="/v1/admin/tier-requests", tags=["admin"], route_class=CheckedRoute)

_LIST = "all tier requests"


@router.get(
    "",
    operation_id="admin.tiers.list_requests",
    summary="Find requests for a higher tier",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def requests(
    _: Staff,
    remit: Remit,
    wanted: Annotated[TierRequestFilters, Query()],
) -> TierRequestFilesOut:
    """All customers' requests, newest first."""
    before = remit.cursors.read_place(_LIST, wanted.cursor)
    page = await remit.tier_requests.all_of(wanted.limit, state=wanted.state, before=before, within=wanted.span)
    return TierRequestFilesOut(
        items=[TierRequestFileOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(_LIST, last.created_at, last.id)),
    )


@router.get(
    "/{request_id}",
    operation_id="admin.tiers.get_request",
    summary="Get any request for a higher tier",
    responses=problem_responses(*READING, "tier_request_not_found"),
)
async def request(request_id: TierRequestId, _: Staff, remit: Remit) -> TierRequestWithDecisionsOut:
    """With the decisions about it."""
    found, decisions = await remit.tier_requests.find(request_id)
    return TierRequestWithDecisionsOut(
        **TierRequestFileOut.of(found).model_dump(), decisions=[TierDecisionOut.of(each) for each in decisions]
    )


@router.post(
    "/{request_id}/decisions",
    operation_id="admin.tiers.decide_request",
    summary="Decide a request for a higher tier",
    responses=problem_responses(
        *ACTING, *KEYED, "tier_request_not_found", "tier_request_closed", "role_too_young", "not_staff"
    ),
)
async def decide(
    request_id: TierRequestId,
    wanted: TierDecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_TIER_REQUEST))],
    remit: Remit,
    answers: KeptAnswers,
) -> TierRequestFileOut:
    """Approve or reject. The account has the tier at once when enough different people have approved.

    One rejection ends the request. A person's first decision is final, and a repeat of it changes nothing.
    """
    decision = TierDecision(actor.id, wanted.ruling, wanted.reason)
    decided = await remit.tier_requests.decide(request_id, decision, answers.keep(TierRequestFileOut.of))
    await remit.temporal.nudge_tier_request(decided)
    return TierRequestFileOut.of(decided)
