"""Figures over all transfers, for staff and for metrics. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass

from database.connections import Database
from ledger.postgres.audit import Totals, totals
from ledger.postgres.rows import TRANSFER_COLUMNS, Row, transfer_of
from ledger.transfers import State, Transfer


@dataclass(frozen=True, slots=True)
class Waiting:
    """The transfers in a state that is not final: how many, and for how long the one that waits longest has."""

    state: State
    transfers: int
    longest_seconds: int


@dataclass(frozen=True, slots=True)
class InTransit:
    """What is between debit and credit in one currency."""

    currency: str
    transfers: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Stats:
    """How the service does, in one snapshot. Counts are of transfers created in the last hour and the last day."""

    last_hour: dict[State, int]
    last_day: dict[State, int]
    waiting: list[Waiting]
    oldest_not_final: Transfer | None
    in_transit: list[InTransit]


_NOT_FINAL = "t.state IN ('initiated', 'in_review', 'debited')"


_BY_STATE = """
    SELECT state, count(*) AS day, count(*) FILTER (WHERE created_at > clock_timestamp() - interval '1 hour') AS hour
    FROM transfers WHERE created_at > clock_timestamp() - interval '1 day' GROUP BY state
"""


_WAITING = f"""
    SELECT state, count(*) AS transfers,
        greatest(0, extract(epoch FROM clock_timestamp() - min(updated_at)))::bigint AS longest_seconds
    FROM transfers t WHERE {_NOT_FINAL} GROUP BY state ORDER BY state
"""


_OLDEST = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE {_NOT_FINAL} ORDER BY t.updated_at, t.id LIMIT 1"


_IN_TRANSIT = """
    SELECT currency, count(*) AS transfers, sum(amount_minor)::bigint AS amount_minor
    FROM transfers WHERE state = 'debited' GROUP BY currency ORDER BY currency
"""


class LedgerStats:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def totals(self) -> list[Totals]:
        """The totals per currency, in one snapshot. Reads every posting."""
        return await totals(self._database)

    async def waiting(self) -> list[Waiting]:
        """The transfers that are not final, by state; every such state is there."""
        async with self._database.connection() as connection:
            return _waiting(await connection.fetch(_WAITING))

    async def read(self) -> Stats:
        """How many transfers ended how, what waits, and what is in transit."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            by_state = await connection.fetch(_BY_STATE)
            waiting = await connection.fetch(_WAITING)
            oldest = await connection.fetchrow(_OLDEST)
            in_transit = await connection.fetch(_IN_TRANSIT)
        return Stats(
            last_hour=_counts(by_state, "hour"),
            last_day=_counts(by_state, "day"),
            waiting=_waiting(waiting),
            oldest_not_final=transfer_of(oldest) if oldest else None,
            in_transit=[InTransit(**dict(row)) for row in in_transit],
        )


def _waiting(rows: Sequence[Row]) -> list[Waiting]:
    found = {row["state"]: Waiting(**dict(row)) for row in rows}
    return [found.get(state, Waiting(state, 0, 0)) for state in State if not state.is_final]


def _counts(rows: Sequence[Row], period: str) -> dict[State, int]:
    counts = {row["state"]: row[period] for row in rows}
    return {state: counts.get(state, 0) for state in State}
