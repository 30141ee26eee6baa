"""What the routes of customers and of staff share: the lists."""

from datetime import date
from typing import Literal

from api.http.paging import next_cursor
from api.services import Services
from api.standing_orders.models import OccurrenceOut, OccurrencesOut, StandingOrderOut, StandingOrdersOut
from ledger.ids import CustomerId, StandingOrderId
from standing_orders.postgres.orders import OrderSearch
from standing_orders.standing_order import StandingOrderState

When = Literal["past", "coming"]


async def orders_page(
    remit: Services, owner_id: CustomerId | None, state: StandingOrderState | None, limit: int, cursor: str | None
) -> StandingOrdersOut:
    """A page of orders; `owner_id` None: everybody's."""
    before = remit.cursors.read_place("standing orders", cursor)
    page = await remit.standing_orders.listed(OrderSearch(owner_id, state, before), limit)
    return StandingOrdersOut(
        items=[StandingOrderOut.of(order) for order in page.items],
        next_cursor=next_cursor(
            page, lambda last: remit.cursors.sign_place("standing orders", last.created_at, last.id)
        ),
    )


async def occurrences_page(
    remit: Services,
    owner_id: CustomerId | None,
    order_id: StandingOrderId,
    when: When,
    limit: int,
    cursor: str | None,
) -> OccurrencesOut:
    """A page of an order's dates."""
    of_list = f"occurrences {order_id} {when}"
    place = remit.cursors.read(of_list, cursor)[0] if cursor is not None else None
    order = await remit.standing_orders.find(owner_id, order_id)
    if when == "past":
        before = date.fromisoformat(place) if place is not None else None
        past = await remit.standing_orders.past(owner_id, order_id, before, limit)
        return OccurrencesOut(
            items=[OccurrenceOut.of(each, order.owner_id) for each in past.items],
            next_cursor=next_cursor(past, lambda last: remit.cursors.sign(of_list, last.date.isoformat())),
        )
    number = int(place) if place is not None else None
    coming = await remit.standing_orders.coming(owner_id, order_id, number, limit)
    return OccurrencesOut(
        items=[OccurrenceOut.of_coming(each, order) for each in coming.items],
        next_cursor=next_cursor(coming, lambda last: remit.cursors.sign(of_list, last.due.number + 1)),
    )
