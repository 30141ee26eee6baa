"""Whether the sweep keeps up: payments that should have been tried a while ago, and those that were missed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from database.connections import Database
from database.rows import dataclass_of

if TYPE_CHECKING:
    from ledger.postgres.rows import Row

# A sweep comes once a minute. What has waited for so much longer waits for a person.
LATE_SECONDS = 300

_LATE = """
    WITH late AS (
        SELECT next_at AS due_at FROM standing_orders
        WHERE state = 'active' AND next_at < now() - $1::integer * interval '1 second'
        UNION ALL
        SELECT next_try_at FROM standing_order_occurrences
        WHERE state = 'due' AND next_try_at < now() - $1::integer * interval '1 second'
    )
    SELECT count(*) AS payments, coalesce(extract(epoch FROM now() - min(due_at))::integer, 0) AS oldest_seconds
    FROM late
"""

# The index has what ended, in the order of its time.
_MISSED = """
    SELECT count(*) AS missed, count(*) FILTER (WHERE code = 'outage') AS missed_by_outage
    FROM standing_order_occurrences
    WHERE state IN ('paid', 'missed', 'failed', 'skipped') AND state = 'missed'
        AND updated_at > now() - interval '1 day'
"""


@dataclass(frozen=True, slots=True)
class LatePayments:
    """How many dates of standing orders were not tried in time, and for how long the first of them waits.

    `missed` ended within the last day without a payment; `missed_by_outage` of them because nothing ran.
    """

    payments: int
    oldest_seconds: int
    missed: int = 0
    missed_by_outage: int = 0


NOTHING_LATE = LatePayments(0, 0)


async def late_payments(database: Database) -> LatePayments:
    """Those that are late now, or were missed lately. Raises `Unavailable` where PostgreSQL gave no answer."""
    async with database.connection() as connection:
        row: Row | None = await connection.fetchrow(_LATE, LATE_SECONDS)
        missed: Row | None = await connection.fetchrow(_MISSED)
    assert row is not None, "an aggregate always has a row"
    assert missed is not None
    return dataclass_of(LatePayments, row, **missed)
