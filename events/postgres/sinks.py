"""The rows of sinks: how far each is, and who runs it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Table, Text, text

from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.rows import dataclass_of
from events.sink import NoSuchSink, SinkInUse, SinkKind, SinkState

if TYPE_CHECKING:
    from database.connections import Connection

sinks = Table(
    "sinks",
    METADATA,
    Column("name", Text, primary_key=True),
    required("kind", Text),
    required("position", BigInteger),
    Column("lease", Text),
    Column("leased_until", Timestamp),
    required("fence", BigInteger, server_default="0"),
    Column("last_error", Text),
    Column("failing_since", Timestamp),
    required("updated_at", Timestamp, server_default=text("clock_timestamp()")),
)

processed_events = Table(
    "processed_events",
    METADATA,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    required("processed_at", Timestamp, server_default=text("clock_timestamp()")),
)

_STANDINGS = """
    SELECT s.name, s.kind, s.position, coalesce(s.leased_until > clock_timestamp(), false) AS is_run, s.last_error,
        s.failing_since, h.last AS head,
        greatest(h.last - s.position, 0) AS lag_events,
        coalesce(ceil(extract(epoch FROM clock_timestamp() - next.occurred_at)), 0)::bigint AS lag_seconds
    FROM sinks s CROSS JOIN event_head h LEFT JOIN outbox_events next ON next.position = s.position + 1
    ORDER BY s.name
"""


@dataclass(frozen=True, slots=True)
class SinkStanding:
    """How far a sink is. `lag_seconds` is the age of the oldest event that it has not delivered; 0: none.

    `is_run`: a process holds its lease.
    """

    name: str
    kind: SinkKind
    position: int
    is_run: bool
    last_error: str | None
    failing_since: datetime | None
    head: int
    lag_events: int
    lag_seconds: int

    def state(self, configured: Collection[str]) -> SinkState:
        """What the sink does, where these are the names of those that the settings configure."""
        if self.failing_since is not None:
            return SinkState.FAILING
        if self.is_run:
            return SinkState.RUNNING
        return SinkState.WAITING if self.name in configured else SinkState.OFF


# A worker that runs it gives its lease back when it stops, or loses it within ten seconds.
_REMOVE = """
    DELETE FROM sinks WHERE name = $1 AND (leased_until IS NULL OR leased_until < clock_timestamp()) RETURNING position
"""
_IS_THERE = "SELECT EXISTS (SELECT FROM sinks WHERE name = $1)"


async def remove_sink(connection: "Connection", name: str) -> int:
    """Remove a sink that nobody runs, in this transaction; its last position. Raises `NoSuchSink`, `SinkInUse`."""
    position = await connection.fetchval(_REMOVE, name)
    if position is None:
        raise SinkInUse(name) if await connection.fetchval(_IS_THERE, name) else NoSuchSink(name)
    return int(position)


class SinkReads:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[SinkStanding]:
        """Every sink that was ever run here, by name."""
        async with self._database.connection() as connection:
            return [dataclass_of(SinkStanding, row) for row in await connection.fetch(_STANDINGS)]

    async def all_of(self, known: Mapping[str, SinkKind]) -> list[SinkStanding]:
        """The same, and those of these names that were never run: they have delivered nothing, and nothing waits."""
        found = await self.all()
        head = found[0].head if found else 0
        never_run = known.keys() - {each.name for each in found}
        found += [SinkStanding(name, known[name], 0, False, None, None, head, 0, 0) for name in never_run]
        return sorted(found, key=lambda each: each.name)
