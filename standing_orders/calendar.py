"""When a standing order is due: its dates, and the moments of each in the payer's zone. Pure: no I/O, no clock.

Every date is computed from the first one and its number, never from the date before: 31 January is followed by 28
February and 31 March. Whatever the clocks of a zone do, each date has exactly one moment.
"""

import re
from calendar import day_name, monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, available_timezones

MONTHS = 12
DAYS_OF_A_WEEK = 7
HOURS = 24

# A day that is moved off a holiday moves by so many days at most; behind that everything would be a holiday.
MOST_DAYS_MOVED = 31


class Frequency(StrEnum):
    """How often an order is due. `once` is a transfer that is scheduled for a date."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


class HolidayRule(StrEnum):
    """What happens to a date that is a holiday: it is paid on the last business day before, on the next, or on it."""

    ON_THE_DAY = "on_the_day"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The dates of an order: number 0 is the first one, and `every` 2 means every second day, week, month or year.

    `last_day` means the last day of each month, whatever day the first date has. No date is later than `end_date`, and
    there are at most `count` of them; None: they do not end by that.
    """

    frequency: Frequency
    first_date: date
    every: int = 1
    last_day: bool = False
    end_date: date | None = None
    count: int | None = None

    def date_at(self, number: int) -> date | None:
        """The date with this number, from 0; None: the order has ended before it.

        A month that lacks the day takes its last one, and so does a year without 29 February.
        """
        if self.count is not None and number >= self.count:
            return None
        try:
            found = self._date_at(number)
        except (OverflowError, ValueError):  # behind the last year that there is
            return None
        is_over = found is None or (self.end_date is not None and found > self.end_date)
        return None if is_over else found

    def number_of(self, day: date) -> int | None:
        """The number of this date; None: it is none of them. Takes no longer for one in a thousand years."""
        months = (day.year - self.first_date.year) * MONTHS + day.month - self.first_date.month
        match self.frequency:
            case Frequency.ONCE | Frequency.DAILY:
                steps = (day - self.first_date).days
            case Frequency.WEEKLY:
                steps = (day - self.first_date).days // DAYS_OF_A_WEEK
            case Frequency.MONTHLY:
                steps = months
            case Frequency.YEARLY:
                steps = months // MONTHS
        number = steps // self.every
        return number if number >= 0 and self.date_at(number) == day else None

    def dates(self, start: int = 0) -> Iterator[tuple[int, date]]:
        """The numbers and dates from this number on, until the order ends."""
        number = start
        while (found := self.date_at(number)) is not None:
            yield number, found
            number += 1

    def _date_at(self, number: int) -> date | None:
        first, steps = self.first_date, number * self.every
        match self.frequency:
            case Frequency.ONCE:
                return first if number == 0 else None
            case Frequency.DAILY:
                return first + timedelta(days=steps)
            case Frequency.WEEKLY:
                return first + timedelta(weeks=steps)
            case Frequency.MONTHLY:
                return _in_month(first, steps, last_day=self.last_day)
            case Frequency.YEARLY:
                return _in_month(first, steps * MONTHS, last_day=False)


def _in_month(first: date, months: int, *, last_day: bool) -> date:
    year, month = divmod(first.year * MONTHS + first.month - 1 + months, MONTHS)
    if year > MAXYEAR:
        raise OverflowError(year)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, last if last_day else min(first.day, last))


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """Days on which a bank does not work: some weekdays, some days of every year, and single dates."""

    weekdays: frozenset[int] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()
    dates: frozenset[date] = frozenset()

    def is_holiday(self, day: date) -> bool:
        """Whether nothing is paid on this day, where an order says so."""
        return day.weekday() in self.weekdays or (day.month, day.day) in self.yearly or day in self.dates

    def paid_on(self, day: date, rule: HolidayRule) -> date:
        """The day on which what is due on `day` is paid. A calendar without a business day near moves nothing."""
        if rule is HolidayRule.ON_THE_DAY:
            return day
        step = timedelta(days=1 if rule is HolidayRule.AFTER else -1)
        near = (day + step * moved for moved in range(MOST_DAYS_MOVED + 1))
        return next((found for found in near if not self.is_holiday(found)), day)


NO_HOLIDAYS = HolidayCalendar()

_WEEKDAYS = {name.lower(): number for number, name in enumerate(day_name)}
_EVERY_YEAR = re.compile(r"(\d\d)-(\d\d)")
_LEAP_YEAR = 2000


def holidays_in(lines: Iterable[str]) -> HolidayCalendar:
    """The calendar in these lines: `2027-04-02`, `12-25` for every year, or `sunday`. `#` begins a comment.

    Raises `ValueError` with the number of a line that is none of them.
    """
    weekdays, yearly, dates = set[int](), set[tuple[int, int]](), set[date]()
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip().lower()
        try:
            if not text:
                continue
            if text in _WEEKDAYS:
                weekdays.add(_WEEKDAYS[text])
            elif found := _EVERY_YEAR.fullmatch(text):
                day = date(_LEAP_YEAR, int(found[1]), int(found[2]))
                yearly.add((day.month, day.day))
            else:
                dates.add(date.fromisoformat(text))
        except ValueError:
            raise ValueError(f"line {number}: {text!r} is neither a date, nor a month and day, nor a weekday") from None
    return HolidayCalendar(frozenset(weekdays), frozenset(yearly), frozenset(dates))


@dataclass(frozen=True, slots=True)
class RunHours:
    """The hours of the payer's day at which orders are paid: what is due at the first, what lacked money at all."""

    hours: Sequence[int] = (6, 12, 18)

    def __post_init__(self) -> None:
        """Raises `ValueError` where these are no hours of a day, in their order."""
        if (
            not self.hours
            or list(self.hours) != sorted(set(self.hours))
            or not 0 <= self.hours[0] <= self.hours[-1] < HOURS
        ):
            raise ValueError("hours of a day, from 0 to 23, each later than the one before")

    def due_at(self, day: date, zone: str) -> datetime:
        """When what is paid on this day is due, in UTC."""
        return _moment(day, self.hours[0], zone)

    def tries(self, day: date, zone: str, retry_days: int) -> list[datetime]:
        """All moments at which it is tried, in their order. The last one is its deadline."""
        days = (day + timedelta(days=later) for later in range(retry_days + 1))
        return sorted({_moment(each, hour, zone) for each in days for hour in self.hours})

    def next_try(self, day: date, zone: str, retry_days: int, now: datetime) -> datetime | None:
        """The first moment after `now` at which it is tried again; None: the deadline is over."""
        return next((moment for moment in self.tries(day, zone, retry_days) if moment > now), None)


def local_date(moment: datetime, zone: str) -> date:
    """The date that people in this zone have at this moment."""
    return moment.astimezone(ZoneInfo(zone)).date()


def is_zone(name: str) -> bool:
    """Whether this is a zone of the IANA database, such as `Africa/Lagos`."""
    return name in available_timezones()


def _moment(day: date, hour: int, zone: str) -> datetime:
    """When a day has this hour. One that the clocks skip is as much later as they skip; of two, it is the first one.

    A day that a zone skips, as Samoa did with 30 December 2011, has the moment of the day after it.
    """
    return datetime.combine(day, time(hour), ZoneInfo(zone)).astimezone(UTC)
