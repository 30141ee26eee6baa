"""When standing orders are due, over zones, months, leap years and holidays."""

import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standing_orders.calendar import (
    NO_HOLIDAYS,
    Frequency,
    HolidayCalendar,
    HolidayRule,
    Recurrence,
    RunHours,
    holidays_in,
    is_zone,
    local_date,
)

# With summer time of both hemispheres, of half an hour, at midnight, of which a government changes its mind, and with
# a day that did not exist.
ZONES = (
    "Africa/Lagos",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "America/Asuncion",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/London",
    "Atlantic/Azores",
    "Pacific/Apia",
    "Pacific/Chatham",
)
TEN_YEARS = (date(2011, 1, 1), date(2020, 12, 31))


def _dates(recurrence: Recurrence, most: int = 100) -> list[date]:
    return [day for _, day in islice(recurrence.dates(), most)]


@pytest.mark.parametrize(
    ("zone", "hour"),
    [(zone, 6) for zone in ZONES]
    # Hours that clocks skip or have twice.
    + [
        ("Europe/Berlin", 2),
        ("America/New_York", 1),
        ("Asia/Beirut", 0),
        ("America/Sao_Paulo", 0),
        ("Asia/Tehran", 23),
    ],
)
def test_every_day_of_ten_years_is_due_exactly_once_in_each_zone(zone: str, hour: int) -> None:
    """Swept each minute, an order is due when its moment has passed: so each date needs one moment, in their order."""
    first, last = TEN_YEARS
    daily = Recurrence(Frequency.DAILY, first, end_date=last)
    hours = RunHours((hour,))
    days = [day for _, day in daily.dates()]
    moments = [hours.due_at(day, zone) for day in days]
    assert len(days) == len(set(days)) == (last - first).days + 1
    assert moments == sorted(moments)
    skipped = {date(2011, 12, 30)} if zone == "Pacific/Apia" else set()
    for day, moment in zip(days, moments, strict=True):
        local = moment.astimezone(ZoneInfo(zone))
        if day not in skipped and hour != 23:
            assert local.date() == day
        # Never before its hour, and later only where the clocks were put forward over it.
        wanted = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        assert (local.replace(tzinfo=UTC) - wanted) in (
            timedelta(0),
            timedelta(minutes=30),
            timedelta(hours=1),
            timedelta(days=1),
        )


@settings(deadline=None, max_examples=60)
@given(
    zone=st.sampled_from(ZONES),
    frequency=st.sampled_from(Frequency),
    first=st.dates(*TEN_YEARS),
    every=st.integers(1, 40),
    last_day=st.booleans(),
    hour=st.integers(0, 23),
    minutes=st.integers(20, 3_000),
)
def test_a_sweep_finds_each_date_once_whenever_it_comes(
    zone: str, frequency: Frequency, first: date, every: int, last_day: bool, hour: int, minutes: int
) -> None:
    """Sweeps that come at any distance from each other take what is due since the one before, by number."""
    recurrence = Recurrence(frequency, first, every, last_day=last_day, end_date=first + timedelta(days=50))
    hours, taken, number = RunHours((hour,)), list[date](), 0
    now = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=2)
    day = recurrence.date_at(0)
    for _ in range((70 * 24 * 60) // minutes):
        now += timedelta(minutes=minutes)
        while day is not None and hours.due_at(day, zone) <= now:
            taken.append(day)
            number += 1
            day = recurrence.date_at(number)
    assert taken == _dates(recurrence)


def test_the_31st_falls_on_the_last_day_of_a_shorter_month_and_comes_back() -> None:
    assert _dates(Recurrence(Frequency.MONTHLY, date(2027, 1, 31), count=5)) == [
        date(2027, 1, 31),
        date(2027, 2, 28),
        date(2027, 3, 31),
        date(2027, 4, 30),
        date(2027, 5, 31),
    ]


def test_the_last_day_of_the_month_is_meant_whatever_the_first_date_is() -> None:
    dates = _dates(Recurrence(Frequency.MONTHLY, date(2028, 1, 15), last_day=True, count=3))
    assert dates == [date(2028, 1, 31), date(2028, 2, 29), date(2028, 3, 31)]


def test_29_february_is_28_february_in_other_years_and_comes_back() -> None:
    dates = _dates(Recurrence(Frequency.YEARLY, date(2028, 2, 29), count=5))
    assert dates == [date(2028 + year, 2, 29 if year in (0, 4) else 28) for year in range(5)]


def test_every_nth_counts_from_the_first_date() -> None:
    assert _dates(Recurrence(Frequency.DAILY, date(2027, 2, 27), every=3, count=3)) == [
        date(2027, 2, 27),
        date(2027, 3, 2),
        date(2027, 3, 5),
    ]
    assert _dates(Recurrence(Frequency.WEEKLY, date(2027, 12, 27), every=2, count=2))[1] == date(2028, 1, 10)
    assert _dates(Recurrence(Frequency.MONTHLY, date(2027, 11, 30), every=3, count=2))[1] == date(2028, 2, 29)
    assert _dates(Recurrence(Frequency.YEARLY, date(2027, 11, 30), every=2, count=2))[1] == date(2029, 11, 30)


def test_a_date_has_its_number_however_far_away_it_is() -> None:
    first = date(2027, 1, 31)
    for frequency in Frequency:
        for last_day in {False, frequency is Frequency.MONTHLY}:
            recurrence = Recurrence(frequency, first, every=3, last_day=last_day)
            numbers = {day: number for number, day in islice(recurrence.dates(), 40)}
            days = [first + timedelta(days=later) for later in range(-40, 40)] + list(numbers)
            assert {day: recurrence.number_of(day) for day in days} == {day: numbers.get(day) for day in days}
    began = time.process_time()
    assert Recurrence(Frequency.DAILY, first).number_of(date.max) == (date.max - first).days
    assert time.process_time() - began < 0.1


def test_an_order_ends_by_its_date_or_its_count_whichever_comes_first() -> None:
    ends = {"end_date": date(2027, 3, 1), "count": 9}
    assert _dates(Recurrence(Frequency.MONTHLY, date(2027, 1, 1), **ends)) == [  # type: ignore[arg-type]
        date(2027, 1, 1),
        date(2027, 2, 1),
        date(2027, 3, 1),
    ]
    assert len(_dates(Recurrence(Frequency.DAILY, date(2027, 1, 1), **ends))) == 9  # type: ignore[arg-type]
    assert _dates(Recurrence(Frequency.ONCE, date(2027, 1, 1))) == [date(2027, 1, 1)]


def test_an_order_without_an_end_ends_with_the_last_year_that_there_is() -> None:
    for frequency in Frequency:
        assert Recurrence(frequency, date(9999, 12, 31)).date_at(1) is None


HOLIDAYS = holidays_in(["saturday", "Sunday  # in most countries", "", "# by law", "12-25", "2027-12-24"])


def test_a_holiday_is_paid_before_after_or_on_the_day() -> None:
    christmas = date(2027, 12, 25)  # a Saturday, behind a holiday of that year alone
    assert HOLIDAYS.paid_on(christmas, HolidayRule.BEFORE) == date(2027, 12, 23)
    assert HOLIDAYS.paid_on(christmas, HolidayRule.AFTER) == date(2027, 12, 27)
    assert HOLIDAYS.paid_on(christmas, HolidayRule.ON_THE_DAY) == christmas
    for rule in HolidayRule:
        assert HOLIDAYS.paid_on(date(2027, 12, 22), rule) == date(2027, 12, 22)
        assert NO_HOLIDAYS.paid_on(christmas, rule) == christmas


def test_a_calendar_without_a_business_day_moves_nothing() -> None:
    always = HolidayCalendar(weekdays=frozenset(range(7)))
    assert always.paid_on(date(2027, 1, 4), HolidayRule.AFTER) == date(2027, 1, 4)


@pytest.mark.parametrize("line", ["2027-02-30", "13-01", "funday", "12/25"])
def test_a_line_that_is_no_holiday_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        holidays_in(["sunday", line])


def test_a_payment_without_money_is_tried_at_the_set_hours_until_its_deadline() -> None:
    hours, day, zone = RunHours((6, 18)), date(2027, 3, 27), "Europe/Berlin"  # the clocks go forward on the 28th
    tries = hours.tries(day, zone, retry_days=1)
    assert tries == [
        datetime(2027, 3, 27, 5, tzinfo=UTC),
        datetime(2027, 3, 27, 17, tzinfo=UTC),
        datetime(2027, 3, 28, 4, tzinfo=UTC),
        datetime(2027, 3, 28, 16, tzinfo=UTC),
    ]
    assert tries[0] == hours.due_at(day, zone)
    assert hours.next_try(day, zone, 1, tries[0]) == tries[1]
    assert hours.next_try(day, zone, 1, tries[1] + timedelta(minutes=1)) == tries[2]
    assert hours.next_try(day, zone, 1, tries[-1]) is None


@pytest.mark.parametrize("hours", [(), (24,), (-1,), (6, 6), (12, 6)])
def test_hours_that_are_none_are_refused(hours: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="hours of a day"):
        RunHours(hours)


def test_a_zone_is_one_of_the_iana_database() -> None:
    assert all(is_zone(zone) for zone in ZONES)
    assert not is_zone("Berlin")
    assert local_date(datetime(2027, 1, 1, 4, tzinfo=UTC), "America/New_York") == date(2026, 12, 31)
