"""Standing orders as their owners and staff make, see and steer them. Nothing is paid here: the sweep does that."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, select

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from ledger.fingerprints import Fingerprints
from ledger.ids import AccountId, CustomerId, StandingOrderId, new_standing_order_id
from staff.permissions import Action, Actor, ConflictOfInterest
from staff.postgres.actions import record_action
from standing_orders.occurrence import Occurrence
from standing_orders.postgres.rows import (
    SELECT_ORDERS,
    check_accounts,
    columns_of,
    columns_of_next,
    find_order,
    lock_open_order,
    skipped_of,
    time_now,
    with_next_date,
    with_next_dates,
)
from standing_orders.postgres.states import Changed, cancel_order, pause_order, resume_order, skip_date
from standing_orders.postgres.tables import standing_order_occurrences, standing_orders
from standing_orders.standing_order import (
    MOST_ORDERS,
    DueRules,
    FirstDatePassed,
    HeldBy,
    NextDate,
    NoDates,
    StandingOrder,
    StandingOrderState,
    StandingOrderTerms,
    TooManyStandingOrders,
    stamped_contents,
)

if TYPE_CHECKING:
    from database.connections import Connection

_ORDERS, _OCCURRENCES = standing_orders.c, standing_order_occurrences.c
_PAST = select(*columns_for(Occurrence, standing_order_occurrences)).where(
    _OCCURRENCES.order_id == bindparam("order_id")
)

_LOCK_OWNER = "SELECT FROM customers WHERE id = $1 FOR NO KEY UPDATE"
_COUNT = "SELECT count(*) FROM standing_orders WHERE owner_id = $1 AND state IN ('active', 'paused')"

_CREATE = """
    INSERT INTO standing_orders (id, owner_id, source_account_id, currency, destination_account_id, amount_minor,
        above_minor, note, frequency, first_date, every, last_day, end_date, count, time_zone, holidays, after_outage,
        retry_days, next_number, next_date, next_at, stamp)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
"""
_CHANGE = """
    UPDATE standing_orders SET destination_account_id = $2, amount_minor = $3, above_minor = $4, note = $5,
        frequency = $6, first_date = $7, every = $8, last_day = $9, end_date = $10, count = $11, time_zone = $12,
        holidays = $13, after_outage = $14, retry_days = $15, next_number = $16, next_date = $17, next_at = $18,
        stamp = $19, updated_at = clock_timestamp()
    WHERE id = $1
"""

# What was skipped ahead is no date that has come.
_LAST_DATE = """
    SELECT max(date) FROM standing_order_occurrences WHERE order_id = $1 AND (state <> 'skipped' OR date <= $2)
"""


@dataclass(frozen=True, slots=True)
class OrderSearch:
    """Which orders a list holds. None: whatever it is."""

    owner_id: CustomerId | None = None
    state: StandingOrderState | None = None
    before: Place | None = None


@dataclass(frozen=True, slots=True)
class ComingDate:
    """A date that has not come yet, as the calendar has it today."""

    due: NextDate
    is_skipped: bool


@dataclass(frozen=True, slots=True)
class StaffAct:
    """Who of the staff steers somebody's order, and why, for the record."""

    actor: Actor
    reason: str


class StandingOrders:
    """All raise `Unavailable` where PostgreSQL gave no answer, and `NoSuchStandingOrder` for another owner's order.

    `owner_id` None: staff, who see all; what they do is recorded in the same transaction. Whatever changes an order
    locks its row first. Safe to repeat: what is so already stays so.
    """

    def __init__(
        self, database: Database, fingerprints: Fingerprints, rules: DueRules, reports: Database | None = None
    ) -> None:
        """`reports` are the connections of lists; None: those of all requests."""
        self._database = database
        self._fingerprints = fingerprints
        self._rules = rules
        self._reports = reports or database

    async def create(
        self,
        owner_id: CustomerId,
        source: AccountId,
        currency: str,
        terms: StandingOrderTerms,
        keep: Keep[StandingOrder] = keeps_nothing,
    ) -> StandingOrder:
        """A new order, active at once.

        Raises `AccountNotFound`, `CurrencyMismatch`, `FirstDatePassed`, `NoDates` and `TooManyStandingOrders`.
        """
        order_id = new_standing_order_id()
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_OWNER, owner_id)
            if await connection.fetchval(_COUNT, owner_id) >= MOST_ORDERS:
                raise TooManyStandingOrders
            await check_accounts(connection, owner_id, source, terms.destination_account_id, currency)
            earliest = self._rules.first_allowed(terms, await time_now(connection))
            if terms.first_date < earliest:
                raise FirstDatePassed(earliest)
            upcoming = self._rules.next_date(terms, 0)
            if upcoming is None:
                raise NoDates
            stamp = self._fingerprints.stamp(stamped_contents(order_id, owner_id, source, currency, terms))
            values = (order_id, owner_id, source, currency, *columns_of(terms), *columns_of_next(0, upcoming), stamp)
            await connection.execute(_CREATE, *values)
            made = await find_order(connection, owner_id, order_id)
            await keep(connection, made)
        return made

    async def find(self, owner_id: CustomerId | None, order_id: StandingOrderId) -> StandingOrder:
        """One order."""
        async with self._database.connection() as connection:
            return await self._shown(connection, await find_order(connection, owner_id, order_id))

    async def _shown(self, connection: "Connection", order: StandingOrder) -> StandingOrder:
        return await with_next_date(connection, self._rules, order)

    async def listed(self, search: OrderSearch, limit: int) -> Page[StandingOrder]:
        """Orders, newest first."""
        values: dict[str, object] = {}
        statement: Select[Any] = SELECT_ORDERS
        if search.owner_id is not None:
            statement, values["owner_id"] = statement.where(_ORDERS.owner_id == bindparam("owner_id")), search.owner_id
        if search.state is not None:
            statement, values["state"] = statement.where(_ORDERS.state == bindparam("state")), search.state
        ordered = newest_first(statement, _ORDERS.created_at, _ORDERS.id, behind=search.before is not None)
        async with self._reports.connection() as connection:
            page = await fetch_page(
                connection, ordered, limit, lambda row: dataclass_of(StandingOrder, row), search.before, **values
            )
            return Page(await with_next_dates(connection, self._rules, page.items), page.has_more)

    async def change(
        self, owner_id: CustomerId, order_id: StandingOrderId, changes: Mapping[str, Any]
    ) -> StandingOrder:
        """Other terms from the next date on: fields of `StandingOrderTerms` by their names. What is due keeps its own.

        With another frequency, first date, `every` or `last_day` the dates are counted anew from the first one, which
        must be later than every date that has come. Raises `StandingOrderEnded`, and what `create` raises.
        """
        async with self._database.transaction() as connection:
            found = await lock_open_order(connection, owner_id, order_id)
            changed = replace(found, **changes)
            if changed.contents == found.contents:
                return await self._shown(connection, found)
            source, currency = found.source_account_id, found.currency
            await check_accounts(connection, owner_id, source, changed.destination_account_id, currency)
            number = found.next_number
            if _dates(changed) != _dates(found):
                number, earliest = 0, await self._earliest(connection, found, changed)
                if changed.first_date < earliest:
                    raise FirstDatePassed(earliest)
            upcoming = self._rules.next_date(changed, number)
            if upcoming is None:
                raise NoDates
            stamp = self._fingerprints.stamp(stamped_contents(order_id, owner_id, source, currency, changed))
            place = columns_of_next(number, upcoming)
            await connection.execute(_CHANGE, order_id, *columns_of(changed), *place, stamp)
            return await self._shown(connection, await find_order(connection, owner_id, order_id))

    async def _earliest(self, connection: "Connection", found: StandingOrder, changed: StandingOrder) -> date:
        """The earliest date with which the changed dates may begin."""
        today = self._rules.first_allowed(changed, await time_now(connection))
        last: date | None = await connection.fetchval(_LAST_DATE, found.id, today)
        return max(today, last + timedelta(days=1)) if last else today

    async def pause(
        self,
        owner_id: CustomerId | None,
        order_id: StandingOrderId,
        keep: Keep[StandingOrder] = keeps_nothing,
        act: StaffAct | None = None,
    ) -> StandingOrder:
        """See `pause_order`."""
        return await self._steer(
            Action.PAUSE_STANDING_ORDER,
            lambda connection: pause_order(connection, owner_id, order_id, _held_by(act)),
            keep,
            act,
        )

    async def resume(
        self,
        owner_id: CustomerId | None,
        order_id: StandingOrderId,
        keep: Keep[StandingOrder] = keeps_nothing,
        act: StaffAct | None = None,
    ) -> StandingOrder:
        """See `resume_order`."""
        return await self._steer(
            Action.RESUME_STANDING_ORDER,
            lambda connection: resume_order(connection, self._rules, owner_id, order_id, _held_by(act)),
            keep,
            act,
        )

    async def cancel(
        self,
        owner_id: CustomerId | None,
        order_id: StandingOrderId,
        keep: Keep[StandingOrder] = keeps_nothing,
        act: StaffAct | None = None,
    ) -> StandingOrder:
        """See `cancel_order`."""
        return await self._steer(
            Action.CANCEL_STANDING_ORDER, lambda connection: cancel_order(connection, owner_id, order_id), keep, act
        )

    async def skip(
        self,
        owner_id: CustomerId,
        order_id: StandingOrderId,
        day: date | None,
        keep: Keep[StandingOrder] = keeps_nothing,
    ) -> StandingOrder:
        """See `skip_date`."""
        async with self._database.transaction() as connection:
            found = await skip_date(connection, self._rules, owner_id, order_id, day)
            await keep(connection, found)
        return found

    async def _steer(
        self,
        action: Action,
        change: "Callable[[Connection], Awaitable[Changed]]",
        keep: Keep[StandingOrder],
        act: StaffAct | None,
    ) -> StandingOrder:
        async with self._database.transaction() as connection:
            before, after = await change(connection)
            if act is not None:
                if act.actor.id == before.owner_id:
                    raise ConflictOfInterest(action)
                states = {"state": before.state}, {"state": after.state}
                await record_action(connection, act.actor, action, before.id, act.reason, *states)
            after = await self._shown(connection, after)
            await keep(connection, after)
        return after

    async def past(
        self, owner_id: CustomerId | None, order_id: StandingOrderId, before: date | None, limit: int
    ) -> Page[Occurrence]:
        """Its dates that have come or were skipped, newest first."""
        statement = _PAST.order_by(_OCCURRENCES.date.desc())
        values: dict[str, object] = {"order_id": order_id}
        if before is not None:
            statement, values["before"] = statement.where(_OCCURRENCES.date < bindparam("before")), before
        async with self._reports.connection() as connection:
            await find_order(connection, owner_id, order_id)
            return await fetch_page(
                connection, statement, limit, lambda row: dataclass_of(Occurrence, row), None, **values
            )

    async def coming(
        self, owner_id: CustomerId | None, order_id: StandingOrderId, number: int | None, limit: int
    ) -> Page[ComingDate]:
        """Its next dates from this number on, as the calendar has them today. None of an order that has ended."""
        async with self._reports.connection() as connection:
            found = await find_order(connection, owner_id, order_id)
            if found.state.is_final:
                return Page([], has_more=False)
            first = found.next_number if number is None else max(number, found.next_number)
            dates: list[NextDate] = []
            while len(dates) <= limit and (each := self._rules.next_date(found, first + len(dates))) is not None:
                dates.append(each)
            skipped = await skipped_of(connection, order_id, dates)
        items = [ComingDate(each, each.date in skipped) for each in dates[:limit]]
        return Page(items, has_more=len(dates) > limit)


def _dates(terms: StandingOrderTerms) -> tuple[object, ...]:
    """What decides on the dates themselves. An end only decides which is the last."""
    return (terms.frequency, terms.first_date, terms.every, terms.last_day)


def _held_by(act: StaffAct | None) -> HeldBy:
    return HeldBy.OWNER if act is None else HeldBy.STAFF
