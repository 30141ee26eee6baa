"""Standing orders of customers: transfers at a date, or again and again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.auth.sessions import StandingOrdersRead, StandingOrdersWrite
from api.contract.response_headers import CREATED
from api.http.fields import Cursor, PageSize
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.payees.routes import payee_account
from api.services import Remit
from api.standing_orders.models import (
    OccurrencesOut,
    SkipIn,
    StandingOrderChangeIn,
    StandingOrderIn,
    StandingOrderOut,
    StandingOrdersOut,
)
from api.standing_orders.pages import When, occurrences_page, orders_page
from ledger.ids import StandingOrderId
from ledger.refusals import AccountNotFound, CurrencyMismatch
from standing_orders.standing_order import StandingOrder, StandingOrderState

PATH = "/v1/standing-orders"
NOT_FOUND = "standing_order_not_found"

router = APIRouter(prefix=PATH, tags=["standing orders"], route_class=CheckedRoute)

_READING = ("not_authenticated", "token_expired", "scope_missing", "database_unavailable")
_BODY = ("invalid_json", "body_too_large", "validation_failed")
_TERMS = (
    *_BODY,
    "account_not_found",
    "payee_not_found",
    "too_many_payee_checks",
    "same_account",
    "currency_mismatch",
    "first_date_passed",
    "standing_order_without_dates",
)
_STEERING = (*_READING, *KEYED, NOT_FOUND)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="standing_orders.create",
    summary="Make a standing order",
    responses=CREATED | problem_responses(*_READING, *KEYED, *_TERMS, "too_many_standing_orders"),
)
async def create(
    wanted: StandingOrderIn, session: StandingOrdersWrite, remit: Remit, answers: KeptAnswers, response: Response
) -> StandingOrderOut:
    """Pay an amount from one of my accounts, once at a date or again and again.

    Each date is one transfer, from the hour of the service's settings on. One without money is tried again until its
    deadline, and then missed, with a message; it never pays a part.
    """
    destination = await payee_account(remit, session, wanted.destination_account_id)
    if wanted.source_account_id == destination:
        raise Problem("same_account")
    keep = answers.keep(StandingOrderOut.of, status.HTTP_201_CREATED, _location)
    with _account_problems():
        made = await remit.standing_orders.create(
            session.customer.id,
            wanted.source_account_id,
            wanted.currency,
            wanted.terms(destination, remit.time_zone),
            keep,
        )
    response.headers["Location"] = _location(made)
    return StandingOrderOut.of(made)


@router.get(
    "",
    operation_id="standing_orders.list",
    summary="List my standing orders",
    responses=problem_responses(*_READING, "cursor_invalid", "validation_failed"),
)
async def orders(
    session: StandingOrdersRead,
    remit: Remit,
    state: Annotated[StandingOrderState | None, Query()] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> StandingOrdersOut:
    """Newest first."""
    return await orders_page(remit, session.customer.id, state, limit, cursor)


@router.get(
    "/{order_id}",
    operation_id="standing_orders.get",
    summary="Get a standing order",
    responses=problem_responses(*_READING, NOT_FOUND),
)
async def order(order_id: StandingOrderId, session: StandingOrdersRead, remit: Remit) -> StandingOrderOut:
    """With its next date."""
    return StandingOrderOut.of(await remit.standing_orders.find(session.customer.id, order_id))


@router.patch(
    "/{order_id}",
    operation_id="standing_orders.change",
    summary="Change a standing order",
    responses=problem_responses(*_READING, *_TERMS, NOT_FOUND, "standing_order_ended"),
)
async def change(
    order_id: StandingOrderId, wanted: StandingOrderChangeIn, session: StandingOrdersWrite, remit: Remit
) -> StandingOrderOut:
    """From the next date on: what is due already keeps its terms. A repeat changes nothing."""
    named = wanted.destination_account_id
    destination = await payee_account(remit, session, named) if named is not None else None
    me = session.customer.id
    if destination is not None:
        found = await remit.standing_orders.find(me, order_id)
        if found.source_account_id == destination:
            raise Problem("same_account")
    with _account_problems():
        return StandingOrderOut.of(await remit.standing_orders.change(me, order_id, wanted.changes(destination)))


@router.post(
    "/{order_id}/pause",
    operation_id="standing_orders.pause",
    summary="Pause a standing order",
    responses=problem_responses(*_STEERING, "standing_order_ended"),
)
async def pause(
    order_id: StandingOrderId, session: StandingOrdersWrite, remit: Remit, answers: KeptAnswers
) -> StandingOrderOut:
    """Nothing is paid until it is resumed, nor what is tried again for want of money."""
    keep = answers.keep(StandingOrderOut.of)
    return StandingOrderOut.of(await remit.standing_orders.pause(session.customer.id, order_id, keep))


@router.post(
    "/{order_id}/resume",
    operation_id="standing_orders.resume",
    summary="Resume a standing order",
    responses=problem_responses(*_STEERING, "standing_order_ended", "standing_order_paused_by_staff"),
)
async def resume(
    order_id: StandingOrderId, session: StandingOrdersWrite, remit: Remit, answers: KeptAnswers
) -> StandingOrderOut:
    """The dates that came meanwhile are skipped, and the next one is paid."""
    keep = answers.keep(StandingOrderOut.of)
    return StandingOrderOut.of(await remit.standing_orders.resume(session.customer.id, order_id, keep))


@router.post(
    "/{order_id}/skip",
    operation_id="standing_orders.skip",
    summary="Skip a date of a standing order",
    responses=problem_responses(*_STEERING, *_BODY, "standing_order_ended", "nothing_to_skip"),
)
async def skip(
    order_id: StandingOrderId,
    session: StandingOrdersWrite,
    remit: Remit,
    answers: KeptAnswers,
    wanted: SkipIn | None = None,
) -> StandingOrderOut:
    """Leave out one coming date: this one, or the next that is not left out yet. It still counts for a `count`."""
    keep, day = answers.keep(StandingOrderOut.of), wanted.date if wanted else None
    return StandingOrderOut.of(await remit.standing_orders.skip(session.customer.id, order_id, day, keep))


@router.post(
    "/{order_id}/cancel",
    operation_id="standing_orders.cancel",
    summary="Cancel a standing order",
    responses=problem_responses(*_STEERING),
)
async def cancel(
    order_id: StandingOrderId, session: StandingOrdersWrite, remit: Remit, answers: KeptAnswers
) -> StandingOrderOut:
    """Nothing is paid any more, for good. Cancelling again answers the same."""
    keep = answers.keep(StandingOrderOut.of)
    return StandingOrderOut.of(await remit.standing_orders.cancel(session.customer.id, order_id, keep))


@router.get(
    "/{order_id}/occurrences",
    operation_id="standing_orders.occurrences",
    summary="List the dates of a standing order",
    responses=problem_responses(*_READING, NOT_FOUND, "cursor_invalid", "validation_failed"),
)
async def occurrences(
    order_id: StandingOrderId,
    session: StandingOrdersRead,
    remit: Remit,
    when: Annotated[When, Query(description="Those that came, newest first; or those to come, soonest first")] = "past",
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> OccurrencesOut:
    """Each date that has come has one occurrence, which says what became of it."""
    return await occurrences_page(remit, session.customer.id, order_id, when, limit, cursor)


def _location(order: StandingOrder) -> str:
    return f"{PATH}/{order.id}"


@contextmanager
def _account_problems() -> Iterator[None]:
    try:
        yield
    except AccountNotFound as error:
        raise Problem("account_not_found", str(error)) from error
    except CurrencyMismatch as error:
        raise Problem("currency_mismatch", str(error)) from error
