"""Standing orders for staff: read anybody's, pause, resume and cancel them with a reason."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.fields import Cursor, PageSize
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from api.standing_orders.models import OccurrencesOut, StandingOrderOut, StandingOrdersOut
from api.standing_orders.pages import When, occurrences_page, orders_page
from api.standing_orders.routes import NOT_FOUND
from ledger.ids import CustomerId, StandingOrderId
from staff.permissions import Action, Actor
from standing_orders.postgres.orders import StaffAct
from standing_orders.standing_order import StandingOrderState

router = APIRouter(prefix="/v1/admin/standing-orders", tags=["admin"], route_class=CheckedRoute)

_STEERING = (*ACTING, *KEYED, NOT_FOUND)


@router.get(
    "",
    operation_id="admin.standing_orders.list",
    summary="List standing orders",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def orders(
    _: Staff,
    remit: Remit,
    owner_id: Annotated[CustomerId | None, Query()] = None,
    state: Annotated[StandingOrderState | None, Query()] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> StandingOrdersOut:
    """Everybody's, newest first."""
    return await orders_page(remit, owner_id, state, limit, cursor)


@router.get(
    "/{order_id}",
    operation_id="admin.standing_orders.get",
    summary="Get any standing order",
    responses=problem_responses(*READING, NOT_FOUND),
)
async def order(order_id: StandingOrderId, _: Staff, remit: Remit) -> StandingOrderOut:
    """With its next date."""
    return StandingOrderOut.of(await remit.standing_orders.find(None, order_id))


@router.get(
    "/{order_id}/occurrences",
    operation_id="admin.standing_orders.occurrences",
    summary="List the dates of any standing order",
    responses=problem_responses(*READING, NOT_FOUND, "cursor_invalid", "validation_failed"),
)
async def occurrences(
    order_id: StandingOrderId,
    _: Staff,
    remit: Remit,
    when: Annotated[When, Query()] = "past",
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> OccurrencesOut:
    """Those that came, newest first, or those to come, soonest first."""
    return await occurrences_page(remit, None, order_id, when, limit, cursor)


@router.post(
    "/{order_id}/pause",
    operation_id="admin.standing_orders.pause",
    summary="Pause a standing order for its owner",
    responses=problem_responses(*_STEERING, "standing_order_ended"),
)
async def pause(
    order_id: StandingOrderId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.PAUSE_STANDING_ORDER))],
    remit: Remit,
    answers: KeptAnswers,
) -> StandingOrderOut:
    """Nothing is paid until staff resume it: its owner cannot."""
    keep, act = answers.keep(StandingOrderOut.of), StaffAct(actor, wanted.reason)
    return StandingOrderOut.of(await remit.standing_orders.pause(None, order_id, keep, act))


@router.post(
    "/{order_id}/resume",
    operation_id="admin.standing_orders.resume",
    summary="Resume a standing order for its owner",
    responses=problem_responses(*_STEERING, "standing_order_ended"),
)
async def resume(
    order_id: StandingOrderId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RESUME_STANDING_ORDER))],
    remit: Remit,
    answers: KeptAnswers,
) -> StandingOrderOut:
    """The dates that came meanwhile are skipped, and the next one is paid."""
    keep, act = answers.keep(StandingOrderOut.of), StaffAct(actor, wanted.reason)
    return StandingOrderOut.of(await remit.standing_orders.resume(None, order_id, keep, act))


@router.post(
    "/{order_id}/cancel",
    operation_id="admin.standing_orders.cancel",
    summary="Cancel a standing order for its owner",
    responses=problem_responses(*_STEERING),
)
async def cancel(
    order_id: StandingOrderId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.CANCEL_STANDING_ORDER))],
    remit: Remit,
    answers: KeptAnswers,
) -> StandingOrderOut:
    """Nothing is paid any more, for good."""
    keep, act = answers.keep(StandingOrderOut.of), StaffAct(actor, wanted.reason)
    return StandingOrderOut.of(await remit.standing_orders.cancel(None, order_id, keep, act))
