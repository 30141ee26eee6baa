"""Periods of statements: days and months in a time zone, as moments and as people read them. Pure: no clock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.money import MINOR_UNIT_DIGITS


@dataclass(frozen=True, slots=True)
class TimeZones:
    """In which time zone the days of an account are counted, by its currency."""

    default: str = "UTC"
    by_currency: Mapping[str, str] | None = None

    def of(self, currency: str) -> str:
        """The IANA name of the zone."""
        return (self.by_currency or {}).get(currency, self.default)


def zones_in(default: str, by_currency: str) -> TimeZones:
    """The zones of two settings: a name, and an object of JSON with names by currency. Raises `ValueError`."""
    named = json.loads(by_currency)
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise ValueError('REMIT_TIME_ZONES: write zones by currency, such as {"NGN": "Africa/Lagos"}')
    if unknown := named.keys() - MINOR_UNIT_DIGITS.keys():
        raise ValueError(f"REMIT_TIME_ZONES: {', '.join(sorted(unknown))}: no currency")
    for name in (default, *named.values()):
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"REMIT_TIME_ZONE: there is no zone {name!r}, such as Africa/Lagos") from error
    return TimeZones(default, named)


def day_begins(day: date, zone: str) -> datetime:
    """The first moment of a day. Where the clock skips midnight, that is the moment at which it goes on."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def day_ends(day: date, zone: str) -> datetime:
    """The first moment of the next day."""
    return day_begins(day + timedelta(days=1), zone)


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def next_month(month: date) -> date:
    """The first day of the month behind it."""
    return month_of(month + timedelta(days=31))


def last_month(now: datetime, zone: str) -> date:
    """The last month that is over, by its first day."""
    return month_of(month_of(now.astimezone(ZoneInfo(zone)).date()) - timedelta(days=1))


def local_day(moment: datetime, zone: str) -> date:
    """The day on which it was, there."""
    return moment.astimezone(ZoneInfo(zone)).date()


def period_text(begins_at: datetime, ends_at: datetime, zone: str) -> str:
    """`1 March 2026 to 31 March 2026`; with times where it does not begin and end with a day."""
    first, behind = local_day(begins_at, zone), local_day(ends_at, zone)
    begins_with_a_day = begins_at == day_begins(first, zone)
    if begins_with_a_day and ends_at == day_begins(behind, zone):
        return f"{day_text(first)} to {day_text(behind - timedelta(days=1))}"
    begins = day_text(first) if begins_with_a_day else moment_text(begins_at, zone)
    return f"{begins} to {moment_text(ends_at, zone)}"


def day_text(day: date) -> str:
    """`1 March 2026`, in English wherever the process runs."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def moment_text(moment: datetime, zone: str) -> str:
    """`1 March 2026, 14:05:09`."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{day_text(local.date())}, {local:%H:%M:%S}"


_MONTHS = "January February March April May June July August September October November December".split()
