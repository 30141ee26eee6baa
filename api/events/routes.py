"""What happened, to be followed: for each customer their view, and for staff everything."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from api.auth.sessions import EventsRead
from api.events.models import AnyEventFilters, EventFilters, EventOut, EventsOut, StreamFilters
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit, Services
from api.staff.authorization import READING, Staff
from events.envelope import SEQUENCE_DIGITS
from events.event import EventType
from events.postgres.search import EventSearch
from ledger.ids import AccountId, CustomerId

router = APIRouter(prefix="/v1", route_class=CheckedRoute)

_READING = (
    *("not_authenticated", "token_expired", "database_unavailable"),
    *("cursor_invalid", "cursor_expired", "validation_failed"),
)


@router.get(
    "/events",
    tags=["events"],
    operation_id="events.list",
    summary="Follow what happens to me",
    responses=problem_responses(*_READING),
)
async def events(session: EventsRead, remit: Remit, filters: Annotated[EventFilters, Query()]) -> EventsOut:
    """Oldest first: transfers that I asked for or that moved my money, my accounts, my disputes and myself.

    Whoever asks again with the `sequence` of the last event that they have, misses none and gets none twice.
    """
    wanted = EventSearch(types=types_of(filters), reader=session.customer.id)
    return await _page(remit, wanted, filters, session.customer.id)


@router.get(
    "/accounts/{account_id}/events",
    tags=["events"],
    operation_id="accounts.events",
    summary="Read an account's life",
    responses=problem_responses(*_READING, "account_not_found"),
)
async def account_events(
    account_id: AccountId, session: EventsRead, remit: Remit, filters: Annotated[EventFilters, Query()]
) -> EventsOut:
    """Oldest first, in the one order in which it happened: opened, frozen, another tier, and each entry."""
    if await remit.account_reads.own(session.customer.id, account_id) is None:
        raise Problem("account_not_found")
    wanted = EventSearch(types=types_of(filters), account_id=account_id, changed_only=True, reader=session.customer.id)
    return await _page(remit, wanted, filters, session.customer.id)


@router.get(
    "/admin/events",
    tags=["admin"],
    operation_id="admin.events.list",
    summary="Follow what happens",
    responses=problem_responses(*READING, *_READING),
)
async def all_events(reader: Staff, remit: Remit, filters: Annotated[AnyEventFilters, Query()]) -> EventsOut:
    """Oldest first: every event, whole. Its `sequence` counts without a gap."""
    wanted = EventSearch(
        types=types_of(filters), account_id=filters.account_id, subject=filters.subject, hidden_from=reader.id
    )
    return await _page(remit, wanted, filters, None)


def types_of(filters: StreamFilters) -> frozenset[EventType] | None:
    """The types that a request wants. None: all."""
    return None if filters.types is None else frozenset(map(EventType, filters.types.split(",")))


async def _page(remit: Services, wanted: EventSearch, filters: EventFilters, reader: CustomerId | None) -> EventsOut:
    after = await position_after(remit, filters.after)
    page = await remit.event_searches.find(replace(wanted, after=after), filters.limit)
    shown = (EventOut.of(event, reader) for event in page.items)
    return EventsOut(
        items=[one for one in shown if one is not None],
        next_cursor=str(page.items[-1].position) if page.has_more else None,
    )


async def position_after(remit: Services, after: str | None) -> int:
    """The position behind which to read. What was dropped meanwhile, and what never was, is no place to go on from."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) <= SEQUENCE_DIGITS):
        raise Problem("cursor_invalid")
    extent = await remit.event_searches.extent()
    if int(after) > extent.last:
        raise Problem("cursor_invalid", f"There is no event with this sequence: the last one has {extent.last}.")
    if 0 < int(after) < extent.dropped_through:
        raise Problem("cursor_expired", f"The oldest events that are kept are behind {extent.dropped_through}.")
    return int(after)
