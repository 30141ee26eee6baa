"""What people read of the projections: how far each is, and its rows together with their position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from database.connections import Database
from database.rows import dataclass_of
from ledger.accounts import AccountStatistics
from ledger.ids import AccountId, TransferId
from projections.account_stats import NO_ENTRIES
from projections.postgres.transfer_rows import status_of
from projections.projection import NoSuchProjection, ProjectionStanding
from projections.transfer_status import TransferStatus

if TYPE_CHECKING:
    from database.statements import Row

_STANDINGS = """
    SELECT p.name, p.generation, p.position, p.applied_at, h.last AS head,
        coalesce(ceil(extract(epoch FROM clock_timestamp() - next.occurred_at)), 0)::bigint AS lag_seconds
    FROM projections p CROSS JOIN event_head h LEFT JOIN outbox_events next ON next.position = p.position + 1
    ORDER BY p.name
"""

# One statement, so rows, generation and position fit together.
_STATS = """
    SELECT s.*, p.position AS shown_position
    FROM projections p LEFT JOIN account_stats s ON s.slot = p.generation % 2 AND s.account_id = $1
    WHERE p.name = 'account_stats'
"""
_STATUS = """
    SELECT s.*, p.position AS shown_position
    FROM projections p LEFT JOIN transfer_status s ON s.slot = p.generation % 2 AND s.transfer_id = $1
    WHERE p.name = 'transfer_status'
"""


@dataclass(frozen=True, slots=True)
class ProjectedStats:
    """The figures of an account as of a position: all events up to there are counted."""

    position: int
    figures: AccountStatistics


@dataclass(frozen=True, slots=True)
class ProjectedStatus:
    """The status of a transfer as of a position. None: nothing was known of the transfer there."""

    position: int
    status: TransferStatus | None


class ProjectionReads:
    """All raise `Unavailable` where PostgreSQL gave no answer. What they read may be behind the books, and says so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[ProjectionStanding]:
        """How far each projection is, by name."""
        async with self._database.connection() as connection:
            return [dataclass_of(ProjectionStanding, row) for row in await connection.fetch(_STANDINGS)]

    async def find(self, name: str) -> ProjectionStanding:
        """How far one is. Raises `NoSuchProjection`."""
        for found in await self.all():
            if found.name == name:
                return found
        raise NoSuchProjection(name)

    async def stats(self, account_id: AccountId) -> ProjectedStats:
        """The figures of an account. The caller has checked that it exists."""
        row = await self._read(_STATS, account_id)
        figures = NO_ENTRIES if row["account_id"] is None else dataclass_of(AccountStatistics, row)
        return ProjectedStats(row["shown_position"], figures)

    async def status(self, transfer_id: TransferId) -> ProjectedStatus:
        """The status of a transfer. The caller has checked whose it is."""
        row = await self._read(_STATUS, transfer_id)
        return ProjectedStatus(row["shown_position"], None if row["transfer_id"] is None else status_of(row))

    async def _read(self, statement: str, of_id: str) -> "Row":
        async with self._database.connection() as connection:
            row = await connection.fetchrow(statement, of_id)
        assert row is not None, "a migration has written the projection"
        return row
