"""Standing orders and their occurrences as requests and answers."""

import datetime as dt
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from api.http.fields import AccountIdIn, Amount, Currency, CurrencyCode, In, PayeeAccountIn, Text, Whole
from api.ownership.owned import Owned, OwnedPage
from ledger.ids import AccountId, CustomerId, StandingOrderId, TransferId
from ledger.money import MAX_AMOUNT_MINOR
from standing_orders.calendar import Frequency, HolidayRule, is_zone
from standing_orders.occurrence import OCCURRENCE_CODES, Occurrence, OccurrenceState
from standing_orders.postgres.orders import ComingDate
from standing_orders.standing_order import (
    MOST_RETRY_DAYS,
    HeldBy,
    OutageRule,
    StandingOrder,
    StandingOrderState,
    StandingOrderTerms,
)

MOST_STEPS = 1_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError(f"{name!r} is no zone of the IANA database, such as Africa/Lagos")
    return name


TimeZone = Annotated[
    str,
    Field(
        max_length=64, description="A zone of the IANA database; every date is a date there", examples=["Africa/Lagos"]
    ),
    AfterValidator(_known_zone),
]


def _written_as_a_date(given: object) -> object:
    if not isinstance(given, str) or not _DATE.fullmatch(given):
        raise ValueError("write a date as 2030-01-31")
    return given


# Left to itself, the library takes a number as seconds since 1970, and a moment at midnight as its day.
Day = Annotated[dt.date, BeforeValidator(_written_as_a_date)]
Note = Annotated[str, Text, Field(max_length=140, examples=["Rent"])]
Above = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MAX_AMOUNT_MINOR,
        description="Pay whatever the source holds above this, in place of an `amount`",
        examples=[100000],
    ),
    Whole,
]
RetryDays = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MOST_RETRY_DAYS,
        description="For how many days behind its own a payment without money is tried again",
    ),
]
AfterOutage = Annotated[
    OutageRule,
    Field(
        description="What happens to dates whose day passed while the service was down: all, the last, or none is paid"
    ),
]


class RecurrenceIn(In):
    """When it is due. The dates are counted from the first one: 31 January, 28 February, 31 March."""

    frequency: Frequency = Field(description="`once`: a transfer that is scheduled for the first date")
    first_date: Day = Field(examples=["2030-01-31"])
    every: Annotated[int, Field(strict=True, ge=1, le=MOST_STEPS, description="2: every second day, week, …")] = 1
    last_day: bool = Field(False, description="Of each month: whatever day the first date has")
    end_date: Day | None = Field(None, description="No date is later", examples=["2031-12-31"])
    count: Annotated[int, Field(strict=True, ge=1, le=100_000, description="How many dates")] | None = None

    @model_validator(mode="after")
    def _has_last_days_of_months(self) -> Self:
        if self.last_day and self.frequency is not Frequency.MONTHLY:
            raise ValueError("last_day is for the frequency monthly")
        return self


class StandingOrderIn(In):
    """What is to be paid, to whom and when. Exactly one of `amount` and `above` is given."""

    source_account_id: AccountIdIn
    destination_account_id: PayeeAccountIn = Field(description="The account's id, or its number")
    currency: Currency
    amount: Amount | None = None
    above: Above | None = None
    note: Note | None = None
    recurrence: RecurrenceIn
    time_zone: TimeZone | None = Field(None, description="Not given: `REMIT_TIME_ZONE`")
    holidays: HolidayRule = Field(
        HolidayRule.ON_THE_DAY, description="When a date is paid that is a holiday: on the business day before or after"
    )
    after_outage: AfterOutage = OutageRule.PAY_EACH
    retry_days: RetryDays = 2

    @model_validator(mode="after")
    def _has_an_amount(self) -> Self:
        if (self.amount is None) is (self.above is None):
            raise ValueError("give an amount or above, one of the two")
        return self

    def terms(self, destination: AccountId, time_zone: str) -> StandingOrderTerms:
        """What the customer decides, with the zone of the service where they name none."""
        return StandingOrderTerms(
            destination_account_id=destination,
            amount_minor=self.amount,
            above_minor=self.above,
            note=self.note,
            time_zone=self.time_zone or time_zone,
            holidays=self.holidays,
            after_outage=self.after_outage,
            retry_days=self.retry_days,
            **self.recurrence.model_dump(),
        )


class StandingOrderChangeIn(In):
    """What is to be changed from the next date on. What is not given stays; `note` may be null."""

    destination_account_id: PayeeAccountIn | None = None
    amount: Amount | None = Field(None, description="A fixed amount from now on")
    above: Above | None = None
    note: Note | None = None
    recurrence: RecurrenceIn | None = Field(
        None, description="Other dates, all of it: with another first date they are counted anew"
    )
    time_zone: TimeZone | None = None
    holidays: HolidayRule | None = None
    after_outage: AfterOutage | None = None
    retry_days: RetryDays | None = None

    @model_validator(mode="after")
    def _has_an_amount(self) -> Self:
        if self.amount is not None and self.above is not None:
            raise ValueError("give an amount or above, one of the two")
        return self

    def changes(self, destination: AccountId | None) -> dict[str, Any]:
        """The fields of the terms that change."""
        same_names = ("time_zone", "holidays", "after_outage", "retry_days")
        found = {name: value for name in same_names if (value := getattr(self, name)) is not None}
        if destination is not None:
            found["destination_account_id"] = destination
        if self.amount is not None or self.above is not None:
            found |= {"amount_minor": self.amount, "above_minor": self.above}
        if "note" in self.model_fields_set:
            found["note"] = self.note
        return found | (self.recurrence.model_dump() if self.recurrence else {})


class SkipIn(In):
    """Which date is left out; null: the next one."""

    date: Day | None = Field(None, examples=["2030-02-28"])


class RecurrenceOut(Owned):
    frequency: Frequency
    first_date: dt.date
    every: int
    last_day: bool
    end_date: dt.date | None
    count: int | None


class StandingOrderOut(Owned):
    """An order as it is now. `next_date` is the calendar's, `next_at` when it is paid: another day for a holiday."""

    not_found = "standing_order_not_found"

    id: StandingOrderId
    owner_id: CustomerId
    state: StandingOrderState
    paused_by: HeldBy | None = Field(description="What staff have paused, its owner does not resume")
    source_account_id: AccountId
    destination_account_id: AccountId
    currency: CurrencyCode
    amount: int | None = Field(description="In the currency's minor unit; null: what is `above` is paid")
    above: int | None
    note: str | None
    recurrence: RecurrenceOut
    time_zone: str
    holidays: HolidayRule
    after_outage: OutageRule
    retry_days: int
    next_date: dt.date | None = Field(description="The next one that is not skipped. Null: none is left")
    next_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    ended_at: dt.datetime | None

    @classmethod
    def of(cls, order: StandingOrder) -> "StandingOrderOut":
        return cls(
            id=order.id,
            owner_id=order.owner_id,
            state=order.state,
            paused_by=order.paused_by,
            source_account_id=order.source_account_id,
            destination_account_id=order.destination_account_id,
            currency=order.currency,
            amount=order.amount_minor,
            above=order.above_minor,
            note=order.note,
            recurrence=RecurrenceOut.model_validate(order, from_attributes=True),
            time_zone=order.time_zone,
            holidays=order.holidays,
            after_outage=order.after_outage,
            retry_days=order.retry_days,
            next_date=order.next_date,
            next_at=order.next_at,
            created_at=order.created_at,
            updated_at=order.updated_at,
            ended_at=order.ended_at,
        ).owned_by(order.owner_id)


class StandingOrdersOut(OwnedPage):
    """A page of orders, newest first."""

    items: list[StandingOrderOut]
    next_cursor: str | None


OccurrenceCode = Annotated[
    str, Field(json_schema_extra={"enum": list(OCCURRENCE_CODES)}, examples=["insufficient_funds"])
]


class OccurrenceOut(Owned):
    """A date of an order, and what became of it. `coming`: the calendar has it, and nothing has happened yet."""

    not_found = "standing_order_not_found"

    date: dt.date
    paid_on: dt.date = Field(description="Another day than `date`, where that is a holiday")
    state: OccurrenceState
    at: dt.datetime | None = Field(description="Of what is coming or due: when it is tried next")
    code: OccurrenceCode | None = Field(description="Why it was not paid, or not yet")
    message: str | None
    tries: int
    amount: int | None = Field(description="In the currency's minor unit; null: not known yet")
    transfer_id: TransferId | None

    @classmethod
    def of(cls, occurrence: Occurrence, owner_id: CustomerId) -> "OccurrenceOut":
        return cls(
            date=occurrence.date,
            paid_on=occurrence.paid_on,
            state=occurrence.state,
            at=occurrence.next_try_at,
            code=occurrence.code,
            message=occurrence.message,
            tries=occurrence.tries,
            amount=occurrence.amount_minor,
            transfer_id=occurrence.transfer_id,
        ).owned_by(owner_id)

    @classmethod
    def of_coming(cls, coming: ComingDate, order: StandingOrder) -> "OccurrenceOut":
        return cls(
            date=coming.due.date,
            paid_on=coming.due.paid_on,
            state=OccurrenceState.SKIPPED if coming.is_skipped else OccurrenceState.COMING,
            at=None if coming.is_skipped else coming.due.at,
            code=None,
            message=None,
            tries=0,
            amount=order.amount_minor,
            transfer_id=None,
        ).owned_by(order.owner_id)


class OccurrencesOut(OwnedPage):
    """A page of dates: those that came, newest first, or those to come, soonest first."""

    items: list[OccurrenceOut]
    next_cursor: str | None
