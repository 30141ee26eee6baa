"""The sweeps that Temporal starts again and again, and what they go by, as the settings describe them."""

from datetime import timedelta

from settings import Settings
from standing_orders.calendar import NO_HOLIDAYS, RunHours, holidays_in
from standing_orders.standing_order import DueRules
from workflows.sweeps.schedules import SweepSchedule, recovery_sweep, standing_order_sweep, statement_sweep

# A month ends at another moment in each time zone, most of them at a full hour.
STATEMENTS_EVERY = timedelta(minutes=30)


def due_rules_from(settings: Settings) -> DueRules:
    """At what hours standing orders are paid, and the holidays."""
    file = settings.holidays_file
    holidays = NO_HOLIDAYS if file is None else holidays_in(file.read_text().splitlines())
    return DueRules(holidays, RunHours(tuple(int(hour) for hour in settings.standing_order_hours.split(","))))


def sweeps_from(settings: Settings) -> list[SweepSchedule]:
    """The sweeps that Temporal starts again and again."""
    return [
        recovery_sweep(timedelta(seconds=settings.recovery_interval_seconds)),
        standing_order_sweep(timedelta(seconds=settings.standing_order_interval_seconds)),
        statement_sweep(STATEMENTS_EVERY),
    ]
