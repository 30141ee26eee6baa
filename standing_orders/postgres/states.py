"""How the state of a standing order changes at somebody's wish: paused, resumed, cancelled, a date skipped.

Each locks the order first. What waits for another try is ended with the order's lock held; a sweep that pays it this
moment holds its row, and once that is free it is no longer due.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

from ledger.ids import CustomerId, StandingOrderId
from ledger.transfers import Failure
from standing_orders.occurrence import BY_OWNER, CANCELLED, PAUSED
from standing_orders.postgres.rows import (
    columns_of_next,
    find_order,
    lock_open_order,
    skip_dates,
    time_now,
    with_next_date,
)
from standing_orders.standing_order import (
    DueRules,
    HeldBy,
    NothingToSkip,
    PausedByStaff,
    StandingOrder,
    StandingOrderState,
)

if TYPE_CHECKING:
    from database.connections import Connection

_SET_STATE = """
    UPDATE standing_orders SET state = $2, paused_by = $3, updated_at = clock_timestamp(),
        next_number = $4, next_date = $5, next_at = $6,
        ended_at = CASE WHEN $2 IN ('completed', 'cancelled') THEN clock_timestamp() END
    WHERE id = $1
"""
_END_DUE = """
    UPDATE standing_order_occurrences SET state = 'skipped', code = $2, message = $3, next_try_at = NULL,
        updated_at = clock_timestamp()
    WHERE order_id = $1 AND state = 'due'
"""

# An order before and after.
Changed = tuple[StandingOrder, StandingOrder]


async def pause_order(
    connection: "Connection", owner_id: CustomerId | None, order_id: StandingOrderId, by: HeldBy
) -> Changed:
    """Nothing is paid until it is resumed, nor what waits for another try.

    A pause of staff stays theirs, whoever pauses it again. Raises `StandingOrderEnded`.
    """
    found = await lock_open_order(connection, owner_id, order_id)
    held_by = HeldBy.STAFF if HeldBy.STAFF in (by, found.paused_by) else HeldBy.OWNER
    if found.state is StandingOrderState.PAUSED and held_by is found.paused_by:
        return found, found
    place = (found.next_number, found.next_date, found.next_at)
    return await _set_state(connection, found, StandingOrderState.PAUSED, held_by, place, PAUSED)


async def resume_order(
    connection: "Connection", rules: DueRules, owner_id: CustomerId | None, order_id: StandingOrderId, by: HeldBy
) -> Changed:
    """The dates that came meanwhile are skipped, the next one is paid.

    Raises `PausedByStaff` for an owner, and `StandingOrderEnded`.
    """
    found = await lock_open_order(connection, owner_id, order_id)
    if found.state is StandingOrderState.ACTIVE:
        return found, found
    if found.paused_by is HeldBy.STAFF and by is not HeldBy.STAFF:
        raise PausedByStaff(order_id)
    passed = rules.passed(found, found.next_number, await time_now(connection))
    await skip_dates(connection, order_id, passed, PAUSED)
    number = found.next_number + len(passed)
    upcoming = rules.next_date(found, number)
    state = StandingOrderState.ACTIVE if upcoming else StandingOrderState.COMPLETED
    return await _set_state(connection, found, state, None, columns_of_next(number, upcoming), PAUSED)


async def cancel_order(connection: "Connection", owner_id: CustomerId | None, order_id: StandingOrderId) -> Changed:
    """Nothing is paid any more. One that has ended stays as it is."""
    found = await find_order(connection, owner_id, order_id, lock=True)
    if found.state.is_final:
        return found, found
    place = columns_of_next(found.next_number, None)
    return await _set_state(connection, found, StandingOrderState.CANCELLED, None, place, CANCELLED)


async def skip_date(
    connection: "Connection", rules: DueRules, owner_id: CustomerId, order_id: StandingOrderId, day: date | None
) -> StandingOrder:
    """Leave out this coming date, or the next one that is not left out yet. A date that is skipped stays so.

    Raises `NothingToSkip` where the order does not have the date, and `StandingOrderEnded`.
    """
    found = await lock_open_order(connection, owner_id, order_id)
    wanted = day or (await with_next_date(connection, rules, found)).next_date
    number = found.recurrence.number_of(wanted) if wanted else None
    coming = rules.next_date(found, number) if number is not None and number >= found.next_number else None
    if coming is None:
        raise NothingToSkip(order_id, day)
    await skip_dates(connection, order_id, [coming], BY_OWNER)
    return await with_next_date(connection, rules, found)


async def _set_state(
    connection: "Connection",
    found: StandingOrder,
    state: StandingOrderState,
    held_by: HeldBy | None,
    place: tuple[int, date | None, datetime | None],
    why: Failure,
) -> Changed:
    await connection.execute(_SET_STATE, found.id, state, held_by, *place)
    await connection.execute(_END_DUE, found.id, why.code, why.message)
    return found, await find_order(connection, None, found.id)
