"""Rows of standing orders, and what every change of one begins with: its lock, its accounts, its next date."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from database.rows import columns_for, dataclass_of
from database.statements import fetch_first, locked
from ledger.ids import AccountId, CustomerId, StandingOrderId
from ledger.refusals import AccountNotFound, CurrencyMismatch
from ledger.transfers import Failure
from standing_orders.postgres.tables import standing_orders
from standing_orders.standing_order import (
    DueRules,
    NextDate,
    NoSuchStandingOrder,
    StandingOrder,
    StandingOrderEnded,
    StandingOrderTerms,
)

if TYPE_CHECKING:
    from database.connections import Connection

SELECT_ORDERS = select(*columns_for(StandingOrder, standing_orders))
_FIND = SELECT_ORDERS.where(standing_orders.c.id == bindparam("order_id"))
_ACCOUNTS = "SELECT id, owner_id, currency FROM accounts WHERE id = ANY ($1::text[])"
_NOW = "SELECT clock_timestamp()"

_SKIP = """
    INSERT INTO standing_order_occurrences (order_id, date, number, paid_on, state, code, message, source_account_id,
        destination_account_id, currency, amount_minor, above_minor, note)
    SELECT o.id, skipped.date, skipped.number, skipped.paid_on, 'skipped', $5, $6, o.source_account_id,
        o.destination_account_id, o.currency, o.amount_minor, o.above_minor, o.note
    FROM unnest($2::date[], $3::integer[], $4::date[]) AS skipped (date, number, paid_on)
    JOIN standing_orders o ON o.id = $1
    ON CONFLICT DO NOTHING
"""
_SKIPPED_AHEAD = """
    SELECT c.order_id, c.date FROM standing_order_occurrences c JOIN standing_orders o ON o.id = c.order_id
    WHERE c.order_id = ANY ($1::text[]) AND c.date >= o.next_date AND c.state = 'skipped'
"""
_SKIPPED = "SELECT date FROM standing_order_occurrences WHERE order_id = $1 AND date = ANY ($2::date[])"


async def time_now(connection: "Connection") -> datetime:
    """PostgreSQL's time."""
    now: datetime = await connection.fetchval(_NOW)
    return now


async def find_order(
    connection: "Connection", owner_id: CustomerId | None, order_id: StandingOrderId, *, lock: bool = False
) -> StandingOrder:
    """The order; `owner_id` None finds anybody's. Raises `NoSuchStandingOrder`."""
    row = await fetch_first(connection, locked(_FIND) if lock else _FIND, order_id=order_id)
    if row is None or owner_id not in (None, row["owner_id"]):
        raise NoSuchStandingOrder(order_id)
    return dataclass_of(StandingOrder, row)


async def lock_open_order(
    connection: "Connection", owner_id: CustomerId | None, order_id: StandingOrderId
) -> StandingOrder:
    """The order under its lock. Raises `StandingOrderEnded`, too."""
    found = await find_order(connection, owner_id, order_id, lock=True)
    if found.state.is_final:
        raise StandingOrderEnded(order_id, found.state)
    return found


async def check_accounts(
    connection: "Connection", owner_id: CustomerId, source: AccountId, destination: AccountId, currency: str
) -> None:
    """Raises `AccountNotFound`, also for a source of somebody else, and `CurrencyMismatch`."""
    found = {row["id"]: row for row in await connection.fetch(_ACCOUNTS, [source, destination])}
    if source not in found or found[source]["owner_id"] != owner_id:
        raise AccountNotFound(source, "source")
    if destination not in found:
        raise AccountNotFound(destination, "destination")
    if found[source]["currency"] != currency:
        raise CurrencyMismatch(source, "source", currency)
    if found[destination]["currency"] != currency:
        raise CurrencyMismatch(destination, "destination", currency)


async def skip_dates(
    connection: "Connection", order_id: StandingOrderId, dates: Sequence[NextDate], why: Failure
) -> None:
    """Write these dates as skipped. One that has an occurrence already keeps it."""
    days, numbers = [each.date for each in dates], [each.number for each in dates]
    paid_on = [each.paid_on for each in dates]
    await connection.execute(_SKIP, order_id, days, numbers, paid_on, why.code, why.message)


async def skipped_of(connection: "Connection", order_id: StandingOrderId, dates: Sequence[NextDate]) -> set[date]:
    """Those of these coming dates that have an occurrence, and so are skipped."""
    return {row["date"] for row in await connection.fetch(_SKIPPED, order_id, [each.date for each in dates])}


async def with_next_dates(
    connection: "Connection", rules: DueRules, orders: Sequence[StandingOrder]
) -> list[StandingOrder]:
    """The orders as people read them: `next_date` and `next_at` are those of the next date that is not skipped."""
    rows = await connection.fetch(_SKIPPED_AHEAD, [order.id for order in orders])
    skipped = {(row["order_id"], row["date"]) for row in rows}

    def shown(order: StandingOrder) -> StandingOrder:
        if (order.id, order.next_date) not in skipped:
            return order
        number = order.next_number
        while (upcoming := rules.next_date(order, number)) is not None and (order.id, upcoming.date) in skipped:
            number += 1
        _, day, at = columns_of_next(number, upcoming)
        return replace(order, next_date=day, next_at=at)

    return [shown(order) for order in orders]


async def with_next_date(connection: "Connection", rules: DueRules, order: StandingOrder) -> StandingOrder:
    """The same for one order."""
    return (await with_next_dates(connection, rules, [order]))[0]


def columns_of(terms: StandingOrderTerms) -> tuple[object, ...]:
    """The columns of the terms, in the order of their fields."""
    return (
        terms.destination_account_id,
        terms.amount_minor,
        terms.above_minor,
        terms.note,
        terms.frequency,
        terms.first_date,
        terms.every,
        terms.last_day,
        terms.end_date,
        terms.count,
        terms.time_zone,
        terms.holidays,
        terms.after_outage,
        terms.retry_days,
    )


def columns_of_next(number: int, upcoming: NextDate | None) -> tuple[int, date | None, datetime | None]:
    """`next_number`, `next_date` and `next_at`."""
    return (number, upcoming.date, upcoming.at) if upcoming else (number, None, None)


def unzipped(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The rows as one list for each column, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
