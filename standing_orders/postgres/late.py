"""Whether the sweep keeps up: payments that should have been tried a while ago."""

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


@dataclass(frozen=True, slots=True)
class LatePayments:
    """How many dates of standing orders were not tried in time, and for how long the first of them waits."""

    payments: int
    oldest_seconds: int


NOTHING_LATE = LatePayments(0, 0)


async def late_payments(database: Database) -> LatePayments:
    """Those that are late now. Raises `Unavailable` where PostgreSQL gave no answer."""
    async with database.connection() as connection:
        row: Row | None = await connection.fetchrow(_LATE, LATE_SECONDS)
    assert row is not None, "an aggregate always has a row"
    return dataclass_of(LatePayments, row)
