"""Figures over all transfers, for staff. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, extract, func, select

from database.connections import Database
from database.metadata import CLOCK
from database.rows import dataclass_of
from database.statements import Row, fetch, fetch_first, one_of, sum_of
from ledger.postgres.audit import AuditProgress, Totals, audit_progress, totals
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import NOT_FINAL, transfers
from ledger.transfers import State, Transfer


@dataclass(frozen=True, slots=True)
class Waiting:
    """The transfers in a state that is not final: how many, and for how long the one that waits longest has."""

    state: State
    transfers: int
    longest_seconds: int


@dataclass(frozen=True, slots=True)
class InTransit:
    """What is between debit and credit in one currency, and since when the oldest of it is."""

    currency: str
    transfers: int
    amount_minor: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of the service, in one snapshot. Counts are of transfers created in the last hour and the last day."""

    last_hour: dict[State, int]
    last_day: dict[State, int]
    waiting: list[Waiting]
    oldest_not_final: Transfer | None
    in_transit: list[InTransit]


_TRANSFERS = transfers.c
_COUNT = func.count().label("transfers")

# Transfers that did not complete are counted by their indexes; the others are all that were created. The minutes are
# counted already, but for the first one, of which the period has a part. In a transaction of its own `now()` is the
# time of the statement, and unlike the clock it can use an index.
_BY_STATE = """
    WITH others AS MATERIALIZED (
        SELECT state, count(*) AS day, count(*) FILTER (WHERE created_at > now() - interval '1 hour') AS hour
        FROM transfers
        WHERE state IN ('compensated', 'failed', 'cancelled') AND created_at > now() - interval '1 day' GROUP BY state
        UNION ALL
        SELECT state, count(*), count(*) FILTER (WHERE created_at > now() - interval '1 hour')
        FROM transfers
        WHERE state IN ('initiated', 'in_review', 'debited') AND created_at > now() - interval '1 day' GROUP BY state
    ),
    minutes AS MATERIALIZED (
        SELECT minute, transfers FROM current_transfers WHERE minute > date_trunc('minute', now() - interval '1 day')
    ),
    created AS (
        SELECT
            (SELECT coalesce(sum(transfers), 0) FROM minutes) + (
                SELECT count(*) FROM transfers WHERE created_at > now() - interval '1 day'
                    AND created_at < date_trunc('minute', now() - interval '1 day') + interval '1 minute'
            ) AS day,
            (
                SELECT coalesce(sum(transfers), 0) FROM minutes
                WHERE minute > date_trunc('minute', now() - interval '1 hour')
            ) + (
                SELECT count(*) FROM transfers WHERE created_at > now() - interval '1 hour'
                    AND created_at < date_trunc('minute', now() - interval '1 hour') + interval '1 minute'
            ) AS hour
    )
    SELECT state, day, hour FROM others
    UNION ALL
    SELECT 'completed', (day - (SELECT coalesce(sum(day), 0) FROM others))::bigint,
        (hour - (SELECT coalesce(sum(hour), 0) FROM others))::bigint
    FROM created
"""

_SECONDS = func.greatest(0, extract("epoch", CLOCK - func.min(_TRANSFERS.updated_at)))
_WAITING = (
    select(_TRANSFERS.state, _COUNT, _SECONDS.cast(BigInteger).label("longest_seconds"))
    .where(NOT_FINAL)
    .group_by(_TRANSFERS.state)
)

_OLDEST = select(*TRANSFER).where(NOT_FINAL).order_by(_TRANSFERS.updated_at, _TRANSFERS.id).limit(1)

_IN_TRANSIT = (
    select(
        _TRANSFERS.currency,
        _COUNT,
        sum_of(_TRANSFERS.amount_minor).label("amount_minor"),
        _SECONDS.cast(BigInteger).label("oldest_seconds"),
    )
    .where(one_of(_TRANSFERS.state, [State.DEBITED]))
    .group_by(_TRANSFERS.currency)
    .order_by(_TRANSFERS.currency)
)


class LedgerStats:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, reports: Database | None = None) -> None:
        """`reports` are the connections of all figures but those that metrics show."""
        self._database = database
        self._reports = reports or database

    async def totals(self) -> list[Totals]:
        """The totals per currency, in one snapshot, from the running totals and what was posted since."""
        return await totals(self._reports)

    async def audit_progress(self) -> AuditProgress | None:
        """How far the audit is that runs now; None: none runs."""
        return await audit_progress(self._reports)

    async def read(self) -> Stats:
        """How many transfers ended how, what waits, and what is in transit."""
        async with (
            self._reports.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            by_state = await connection.fetch(_BY_STATE)
            waiting = await fetch(connection, _WAITING)
            oldest = await fetch_first(connection, _OLDEST)
            in_transit = await fetch(connection, _IN_TRANSIT)
        return Stats(
            last_hour=_counts(by_state, "hour"),
            last_day=_counts(by_state, "day"),
            waiting=_waiting(waiting),
            oldest_not_final=transfer_of(oldest) if oldest else None,
            in_transit=[dataclass_of(InTransit, row) for row in in_transit],
        )


def _waiting(rows: Sequence[Row]) -> list[Waiting]:
    found = {row["state"]: dataclass_of(Waiting, row) for row in rows}
    return [found.get(state, Waiting(state, 0, 0)) for state in State if not state.is_final]


def _counts(rows: Sequence[Row], period: str) -> dict[State, int]:
    counts = {row["state"]: row[period] for row in rows}
    return {state: counts.get(state, 0) for state in State}
