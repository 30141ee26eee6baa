"""Figures over all transfers, for staff. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, extract, func, select

from database.connections import Database
from database.metadata import CLOCK
from database.rows import dataclass_of
from database.statements import Row, fetch, fetch_first, one_of, sum_of
from ledger.postgres.audit import Totals, totals
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
    """What is between debit and credit in one currency."""

    currency: str
    transfers: int
    amount_minor: int


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

# In a transaction of its own `now()` is the time of the statement, and unlike the clock it can use an index.
_BY_STATE = (
    select(
        _TRANSFERS.state,
        func.count().label("day"),
        func.count().filter(_TRANSFERS.created_at > func.now() - timedelta(hours=1)).label("hour"),
    )
    .where(_TRANSFERS.created_at > func.now() - timedelta(days=1))
    .group_by(_TRANSFERS.state)
)

_SECONDS = func.greatest(0, extract("epoch", CLOCK - func.min(_TRANSFERS.updated_at)))
_WAITING = (
    select(_TRANSFERS.state, _COUNT, _SECONDS.cast(BigInteger).label("longest_seconds"))
    .where(NOT_FINAL)
    .group_by(_TRANSFERS.state)
)

_OLDEST = select(*TRANSFER).where(NOT_FINAL).order_by(_TRANSFERS.updated_at, _TRANSFERS.id).limit(1)

_IN_TRANSIT = (
    select(_TRANSFERS.currency, _COUNT, sum_of(_TRANSFERS.amount_minor).label("amount_minor"))
    .where(one_of(_TRANSFERS.state, [State.DEBITED]))
    .group_by(_TRANSFERS.currency)
    .order_by(_TRANSFERS.currency)
)


class LedgerStats:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def totals(self) -> list[Totals]:
        """The totals per currency, in one snapshot. Reads every posting."""
        return await totals(self._database)

    async def read(self) -> Stats:
        """How many transfers ended how, what waits, and what is in transit."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            by_state = await fetch(connection, _BY_STATE)
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
