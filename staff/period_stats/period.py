"""Figures of the transfers that were created in a period, put together from its parts. Pure: no I/O, no clock."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger.refusals import ActionRefused
from ledger.transfers import State

# A part is read in one short statement.
TRANSFERS_AT_ONCE = 50_000

# Together some seconds, beside everything else that reads the books.
MOST_TRANSFERS = 2_000_000
LONGEST = timedelta(days=31)

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment on, and before another one."""

    begins: datetime
    ends: datetime


@dataclass(eq=False)
class PeriodTooLarge(ActionRefused):
    """More transfers than one request may read."""

    code = "period_too_large"
    transfers: int

    def __str__(self) -> str:
        return f"{self.transfers:,} transfers were created in the period; at most {MOST_TRANSFERS:,} are read at once."


@dataclass(frozen=True, slots=True)
class Volume:
    """What was completed in one currency."""

    currency: str
    transfers: int
    amount_minor: int


@dataclass(slots=True)
class PeriodTotals:
    """What the parts of a period have added up to so far. `ended_after_ms` counts transfers by how long they took."""

    by_state: Counter[State] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    amounts: Counter[str] = field(default_factory=Counter)
    ended_after_ms: Counter[int] = field(default_factory=Counter)

    @property
    def volume(self) -> list[Volume]:
        """By currency."""
        return [
            Volume(currency, self.completed[currency], self.amounts[currency]) for currency in sorted(self.completed)
        ]


@dataclass(frozen=True, slots=True)
class PeriodStats:
    """Figures of a period. Latencies are from creation to the end, by percentile; None: nothing has ended."""

    period: Period
    customers: int
    transfers: int
    by_state: Mapping[State, int]
    volume: list[Volume]
    failures: Mapping[str, int]
    latency_ms: Mapping[int, int] | None


def parts_of(period: Period, created: Iterable[tuple[datetime, int]]) -> Iterator[Period]:
    """The period in parts of about `TRANSFERS_AT_ONCE` transfers, by how many were created from each moment on.

    Raises `PeriodTooLarge`.
    """
    found = sorted(created)
    if (total := sum(count for _, count in found)) > MOST_TRANSFERS:
        raise PeriodTooLarge(total)
    begins, inside = period.begins, 0
    for moment, count in found:
        if inside and inside + count > TRANSFERS_AT_ONCE and moment > begins:
            yield Period(begins, moment)
            begins, inside = moment, 0
        inside += count
    yield Period(begins, period.ends)


def percentiles(counts: Mapping[int, int]) -> dict[int, int] | None:
    """The nearest-rank percentiles of values that are counted."""
    total = sum(counts.values())
    if not total:
        return None
    return {percent: _at_rank(counts, -(-total * percent // 100)) for percent in PERCENTILES}


def _at_rank(counts: Mapping[int, int], rank: int) -> int:
    passed = 0
    for value in sorted(counts):
        passed += counts[value]
        if passed >= rank:
            return value
    raise AssertionError("the rank is at most the number of values")
