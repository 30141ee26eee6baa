"""What an account has sent in a day and in a month, as its row counts it. Pure: no I/O, no clock."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

# PostgreSQL's largest integer. A counter stays there: it must never stop a posting.
_MOST_COUNTED = 2**63 - 1

# A clock that is set back by so little over midnight does not bring back the day before.
_CLOCK_STEP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Spending:
    """What an account has sent on its newest `day` of sending, and in that day's month. None: it never has.

    The counters change with the balance, in the statement of a debit or of its refund.
    """

    day: date | None = None
    day_minor: int = 0
    month_minor: int = 0

    def at(self, now: datetime) -> "Spending":
        """The counters as they are read now: a new day begins with nothing, and so does a new month.

        The day before never comes back, whatever a clock says.
        """
        today = _day_of(now)
        if self.day is not None and today <= self.day:
            return self
        in_month = self.day is not None and _month_of(today) == _month_of(self.day)
        return Spending(today, 0, self.month_minor if in_month else 0)

    def plus(self, amount_minor: int, now: datetime) -> "Spending":
        """The counters after a debit."""
        today = self.at(now)
        day_minor, month_minor = today.day_minor + amount_minor, today.month_minor + amount_minor
        return Spending(today.day, min(day_minor, _MOST_COUNTED), min(month_minor, _MOST_COUNTED))

    def minus(self, amount_minor: int, debited_at: datetime) -> "Spending":
        """The counters after the refund of a debit: its day and its month get the amount back if they still count."""
        if self.day is None:
            return self
        day = _day_of(debited_at)
        of_day, of_month = day == self.day, _month_of(day) == _month_of(self.day)
        return replace(
            self,
            day_minor=max(0, self.day_minor - amount_minor) if of_day else self.day_minor,
            month_minor=max(0, self.month_minor - amount_minor) if of_month else self.month_minor,
        )

    def not_before(self, now: datetime) -> datetime:
        """The time of a debit that is made now: not on the day before, by a clock that was set back over midnight."""
        if self.day is None or _day_of(now) >= self.day:
            return now
        midnight = midnight_of(self.day)
        return midnight if midnight <= now + _CLOCK_STEP else now


def _day_of(moment: datetime) -> date:
    # PostgreSQL's times are in UTC already. Each debit passes here.
    return moment.date() if moment.tzinfo is UTC else moment.astimezone(UTC).date()


def _month_of(day: date) -> tuple[int, int]:
    return day.year, day.month


def midnight_of(day: date) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time.min, UTC)
