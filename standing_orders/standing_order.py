"""Standing orders: what a customer has paid again and again, or once at a date. Pure: no I/O, no clock."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar

from ledger.ids import AccountId, CustomerId, StandingOrderId
from ledger.money import Money
from ledger.refusals import ActionRefused
from standing_orders.calendar import Frequency, HolidayCalendar, HolidayRule, Recurrence, RunHours, local_date

# So many may be active or paused for one customer.
MOST_ORDERS = 200

# A payment without money is tried again for so many days at most.
MOST_RETRY_DAYS = 14


class StandingOrderState(StrEnum):
    """Whether an order pays. `completed`: its last date has come. `cancelled`: somebody ended it before."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it pays nothing any more, for good."""
        return self in (StandingOrderState.COMPLETED, StandingOrderState.CANCELLED)


class OutageRule(StrEnum):
    """What happens to dates whose day has passed while nothing ran: all are paid, or the last one, or none."""

    PAY_EACH = "pay_each"
    PAY_LATEST = "pay_latest"
    MISS = "miss"


class HeldBy(StrEnum):
    """Who has paused an order. What staff have paused, its owner does not resume."""

    OWNER = "owner"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class StandingOrderTerms:
    """What the customer decides. The order's owner may change it from the next date on.

    Exactly one of `amount_minor` and `above_minor` is set: a fixed amount, or whatever the source holds above this.
    `every`, `last_day`, `end_date` and `count` are those of `Recurrence`. A payment that lacks money is tried again for
    `retry_days` days behind its own.
    """

    destination_account_id: AccountId
    amount_minor: int | None
    above_minor: int | None
    note: str | None
    frequency: Frequency
    first_date: date
    every: int
    last_day: bool
    end_date: date | None
    count: int | None
    time_zone: str
    holidays: HolidayRule
    after_outage: OutageRule
    retry_days: int

    @property
    def recurrence(self) -> Recurrence:
        """Its dates."""
        return Recurrence(self.frequency, self.first_date, self.every, self.last_day, self.end_date, self.count)

    @property
    def contents(self) -> tuple[object, ...]:
        """All of it as JSON values, in an order that never changes: the order's stamp covers it."""
        return (
            self.destination_account_id,
            self.amount_minor,
            self.above_minor,
            self.note,
            self.frequency.value,
            self.first_date.isoformat(),
            self.every,
            self.last_day,
            self.end_date.isoformat() if self.end_date else None,
            self.count,
            self.time_zone,
            self.holidays.value,
            self.after_outage.value,
            self.retry_days,
        )


@dataclass(frozen=True, slots=True)
class StandingOrder(StandingOrderTerms):
    """An order's row. `next_number`, `next_date` and `next_at` name what falls due next; null: nothing does.

    `next_date` is the date by the calendar, `next_at` the moment at which it is paid: on another day, where the date is
    a holiday. `stamp` proves that Remit's API made the order as it is.
    """

    id: StandingOrderId
    owner_id: CustomerId
    source_account_id: AccountId
    currency: str
    state: StandingOrderState
    paused_by: HeldBy | None
    next_number: int
    next_date: date | None
    next_at: datetime | None
    stamp: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @property
    def amount(self) -> Money | None:
        """The fixed amount, for people."""
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)


def stamped_contents(
    order_id: StandingOrderId, owner_id: CustomerId, source: AccountId, currency: str, terms: StandingOrderTerms
) -> tuple[object, ...]:
    """What the stamp of an order covers: who pays whom, how much and when."""
    return ("standing order", order_id, owner_id, source, currency, *terms.contents)


@dataclass(frozen=True, slots=True)
class NextDate:
    """What falls due next: its number, its date by the calendar, the day it is paid on, and the moment."""

    number: int
    date: dt.date
    paid_on: dt.date
    at: datetime


@dataclass(frozen=True, slots=True)
class DueRules:
    """What the service decides about all orders: its holidays, and the hours of the day."""

    holidays: HolidayCalendar
    hours: RunHours

    def next_date(self, terms: StandingOrderTerms, number: int) -> NextDate | None:
        """The date with this number; None: the order has ended before it."""
        found = terms.recurrence.date_at(number)
        if found is None:
            return None
        paid_on = self.holidays.paid_on(found, terms.holidays)
        return NextDate(number, found, paid_on, self.hours.due_at(paid_on, terms.time_zone))

    def passed(self, terms: StandingOrderTerms, number: int, now: datetime) -> list[NextDate]:
        """All dates from this number on whose moment has come."""
        found = []
        while (each := self.next_date(terms, number)) is not None and each.at <= now:
            found.append(each)
            number += 1
        return found

    def first_allowed(self, terms: StandingOrderTerms, now: datetime) -> date:
        """The earliest date with which an order may begin: today, where the payer is."""
        return local_date(now, terms.time_zone)


def to_be_paid(rule: OutageRule, passed: Sequence[NextDate], today: date) -> set[int]:
    """The numbers of those dates that are paid; the others are missed. A date whose day is not over is always paid.

    `today` is the payer's.
    """
    late = [each for each in passed if each.paid_on < today]
    paid = {each.number for each in passed} - {each.number for each in late}
    if rule is OutageRule.PAY_EACH:
        paid |= {each.number for each in late}
    elif rule is OutageRule.PAY_LATEST and not paid and late:
        paid.add(late[-1].number)
    return paid


class StandingOrderRefused(ActionRefused):
    """What the state of an order does not allow. Nothing changed."""

    code: ClassVar[str]


# `eq=False` and not frozen: an exception must keep its identity and take its traceback.
@dataclass(eq=False)
class NoSuchStandingOrder(StandingOrderRefused):
    """No order has this id, or it is somebody else's."""

    code = "standing_order_not_found"
    order_id: StandingOrderId

    def __str__(self) -> str:
        return f"There is no standing order {self.order_id}."


@dataclass(eq=False)
class StandingOrderEnded(StandingOrderRefused):
    """It is completed or cancelled, for good."""

    code = "standing_order_ended"
    order_id: StandingOrderId
    state: StandingOrderState

    def __str__(self) -> str:
        return f"Standing order {self.order_id} is {self.state}: make a new one."


@dataclass(eq=False)
class PausedByStaff(StandingOrderRefused):
    """Staff have paused it, so its owner cannot resume it."""

    code = "standing_order_paused_by_staff"
    order_id: StandingOrderId

    def __str__(self) -> str:
        return f"Standing order {self.order_id} was paused by the service: ask its support."


@dataclass(eq=False)
class NothingToSkip(StandingOrderRefused):
    """No coming date of the order is this one."""

    code = "nothing_to_skip"
    order_id: StandingOrderId
    day: date | None

    def __str__(self) -> str:
        which = f"{self.day} is none of the next dates" if self.day else "There is no next date"
        return f"{which} of standing order {self.order_id}."


@dataclass(eq=False)
class FirstDatePassed(StandingOrderRefused):
    """An order begins today at the earliest, and a change with a date behind those that came already."""

    code = "first_date_passed"
    earliest: date

    def __str__(self) -> str:
        return f"The first date must be {self.earliest} or later."


@dataclass(eq=False)
class NoDates(StandingOrderRefused):
    """The order would end before its first date."""

    code = "standing_order_without_dates"

    def __str__(self) -> str:
        return "The order ends before its first date."


@dataclass(eq=False)
class TooManyStandingOrders(StandingOrderRefused):
    """The customer has as many as one may have."""

    code = "too_many_standing_orders"

    def __str__(self) -> str:
        return f"You have {MOST_ORDERS} standing orders that have not ended: cancel one first."
