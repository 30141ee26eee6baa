"""Reads the figures of a period: by the index on the time, in short statements, and without any lock."""

from database.connections import Database
from ledger.ids import SYSTEM_CUSTOMER
from ledger.transfers import State
from staff.period_stats.period import Period, PeriodStats, PeriodTotals, parts_of, percentiles

# How many transfers began in each hour. Minutes are counted already; the first and the last may be outside in part.
_CREATED = """
    SELECT date_trunc('hour', minute) AS hour, sum(transfers)::bigint AS transfers
    FROM current_transfers WHERE minute >= date_trunc('minute', $1::timestamptz) AND minute < $2 GROUP BY 1
"""

# Times are exact below a second, and have three digits above.
_PART = """
    SELECT state, currency, failure_code, ended_after_ms, grouping(state) = 0 AS is_state, count(*) AS transfers,
        sum(amount_minor)::bigint AS amount_minor
    FROM (
        SELECT state, currency, failure_code, amount_minor,
            ms / power(10, greatest(0, length(ms::text) - 3))::bigint
                * power(10, greatest(0, length(ms::text) - 3))::bigint AS ended_after_ms
        FROM (
            SELECT state, currency, failure_code, amount_minor,
                greatest(0, extract(epoch FROM completed_at - created_at) * 1000)::bigint AS ms
            FROM transfers WHERE created_at >= $1 AND created_at < $2
        ) created
    ) rounded
    GROUP BY GROUPING SETS ((state, currency, failure_code), (ended_after_ms))
"""

_CUSTOMERS = "SELECT count(*) FROM customers WHERE created_at >= $1 AND created_at < $2 AND id <> $3"


class PeriodReads:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, reports: Database) -> None:
        """`reports` are the connections of figures."""
        self._reports = reports

    async def read(self, period: Period) -> PeriodStats:
        """What was created in the period, as it is now; each part is a snapshot of its own. Raises `PeriodTooLarge`."""
        async with self._reports.connection() as connection:
            created = await connection.fetch(_CREATED, period.begins, period.ends)
            customers = await connection.fetchval(_CUSTOMERS, period.begins, period.ends, SYSTEM_CUSTOMER)
        totals = PeriodTotals()
        for part in parts_of(period, [(row["hour"], row["transfers"]) for row in created]):
            await self._add(part, totals)
        return PeriodStats(
            period=period,
            customers=customers,
            transfers=totals.by_state.total(),
            by_state={state: totals.by_state[state] for state in State},
            volume=totals.volume,
            failures=dict(totals.failures.most_common()),
            latency_ms=percentiles(totals.ended_after_ms),
        )

    async def _add(self, part: Period, totals: PeriodTotals) -> None:
        async with self._reports.connection() as connection:
            rows = await connection.fetch(_PART, part.begins, part.ends)
        for row in rows:
            if not row["is_state"]:
                if row["ended_after_ms"] is not None:
                    totals.ended_after_ms[row["ended_after_ms"]] += row["transfers"]
                continue
            state = State(row["state"])
            totals.by_state[state] += row["transfers"]
            if row["failure_code"] is not None:
                totals.failures[row["failure_code"]] += row["transfers"]
            if state is State.COMPLETED:
                totals.completed[row["currency"]] += row["transfers"]
                totals.amounts[row["currency"]] += row["amount_minor"]
