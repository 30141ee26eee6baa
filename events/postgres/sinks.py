"""Runs sinks: reads what follows a sink's position, delivers it, and moves the position behind it.

One process runs a sink at a time, by a lease in its row. Each new holder gets a higher fence, and a position is moved
only under the present one: a process that was away too long may publish some events once more, and moves nothing. A
publisher's position moves after the confirm, a projection's in the transaction of its rows.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

import asyncpg
import structlog
from sqlalchemy import BigInteger, Column, Table, Text, text

from database.connections import Database, Unavailable
from database.metadata import METADATA, Timestamp, required
from database.rows import dataclass_of
from events.dead_letter import DeadLetter, Undelivered
from events.event import Event, EventId
from events.event_record import event_in_record, record_of
from events.postgres.arrivals import Arrivals
from events.postgres.dead_letters import bury, send_replays
from events.postgres.stream import EventStream
from events.sink import (
    Projection,
    Publisher,
    Rejected,
    Sink,
    SinkKind,
    SinkState,
    begins_at_head,
    kind_of,
    most_at_once,
    pause_milliseconds,
)

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

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

BATCH = 500

# The least time from one delivery to the next while there are few events: under load each has more of them.
PAUSE_MILLISECONDS = 100

# A delivery that takes longer has failed. The lease outlives it, so that no second holder begins meanwhile.
PUBLISH_SECONDS = 6
LEASE_SECONDS = 10

# How often a process that does not hold the lease asks for it, and how often a holder looks for replays.
ASK_SECONDS = 2
REPLAY_SECONDS = 1

FIRST_WAIT = timedelta(milliseconds=500)
LONGEST_WAIT = timedelta(seconds=30)

_BEGIN = """
    INSERT INTO sinks (name, kind, position)
    SELECT $1, $2, CASE WHEN $3 THEN last ELSE dropped_through END FROM event_head ON CONFLICT DO NOTHING
"""

# A holder that asks again keeps its fence.
_LEASE = """
    UPDATE sinks SET lease = $2, leased_until = clock_timestamp() + make_interval(secs => $3),
        fence = fence + (lease IS DISTINCT FROM $2)::int
    WHERE name = $1 AND (lease IS NULL OR lease = $2 OR leased_until < clock_timestamp())
    RETURNING position, fence
"""
_RELEASE = "UPDATE sinks SET lease = NULL, leased_until = NULL WHERE name = $1 AND lease = $2"

_HOLD = "SELECT position FROM sinks WHERE name = $1 AND fence = $2 AND lease = $3 FOR NO KEY UPDATE"

_MOVE = """
    UPDATE sinks SET position = $4, leased_until = clock_timestamp() + make_interval(secs => $5), last_error = NULL,
        failing_since = NULL, updated_at = clock_timestamp()
    WHERE name = $1 AND fence = $2 AND position = $3 AND lease = $6 RETURNING 1
"""

_FAIL = """
    UPDATE sinks SET last_error = $3, failing_since = coalesce(failing_since, clock_timestamp())
    WHERE name = $1 AND fence = $2
"""
_RECOVER = """
    UPDATE sinks SET last_error = NULL, failing_since = NULL WHERE name = $1 AND fence = $2 AND last_error IS NOT NULL
"""

_HEAD = "SELECT last FROM event_head"

_STANDINGS = """
    SELECT s.name, s.kind, s.position, coalesce(s.leased_until > clock_timestamp(), false) AS is_run, s.last_error,
        s.failing_since, h.last AS head,
        greatest(h.last - s.position, 0) AS lag_events,
        coalesce(ceil(extract(epoch FROM clock_timestamp() - next.occurred_at)), 0)::bigint AS lag_seconds
    FROM sinks s CROSS JOIN event_head h
    LEFT JOIN LATERAL (
        SELECT e.occurred_at FROM outbox_events e WHERE e.position > s.position ORDER BY e.position LIMIT 1
    ) next ON true
    ORDER BY s.name
"""


class LeaseLost(Exception):
    """Another process runs the sink by now. What this one delivered last may be delivered once more."""


class EventsMissing(Exception):
    """The stream has no event with the next position. The sink stops: it would leave something out."""


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


class SinkReads:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[SinkStanding]:
        """Every sink that was ever run here, by name."""
        async with self._database.connection() as connection:
            return [dataclass_of(SinkStanding, row) for row in await connection.fetch(_STANDINGS)]


async def run_sinks(database: Database, arrivals: Arrivals, configured: Sequence[Sink]) -> None:
    """Run all of these until the task is cancelled. Every worker may: each sink runs in one process at a time."""
    async with asyncio.TaskGroup() as group:
        for sink in configured:
            group.create_task(run_sink(database, sink, arrivals), name=f"sink {sink.name}")


async def run_sink(database: Database, sink: Sink, arrivals: Arrivals) -> NoReturn:
    """Deliver every event to the sink, in the order of positions, until the task is cancelled.

    Whatever goes wrong, it waits and tries again; the sink's row, the log and the metrics say so meanwhile.
    """
    runner = _Runner(database, sink, arrivals)
    try:
        await runner.run()
    finally:
        await runner.leave()


def _now() -> timedelta:
    return timedelta(seconds=monotonic())


@dataclass(slots=True)
class _Lease:
    position: int
    fence: int
    until: timedelta


class _Runner:
    def __init__(self, database: Database, sink: Sink, arrivals: Arrivals) -> None:
        self._database = database
        self._stream = EventStream(database)
        self._sink = sink
        self._arrivals = arrivals
        self._kind = kind_of(sink)
        self._holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
        self._lease: _Lease | None = None
        self._failures = 0
        self._replays_after = monotonic()
        self._has_row = False
        self._most = most_at_once(sink, BATCH)
        self._pause = pause_milliseconds(sink, PAUSE_MILLISECONDS) / 1_000

    async def run(self) -> NoReturn:
        while True:
            try:
                if not await self._hold():
                    await asyncio.sleep(ASK_SECONDS)
                    continue
                delivered = await self._deliver()
                await self._send_again()
                await self._recovered()
            except LeaseLost:
                log.warning("another process runs the sink", sink=self._sink.name)
                self._lease = None
            except Exception as error:  # noqa: BLE001 - a sink of others may raise anything; the events stay
                await self._failed(error)
            else:
                if delivered == 0 and self._lease is not None:
                    await self._arrivals.wait(self._lease.position)
                elif delivered < self._most:
                    await asyncio.sleep(self._pause)

    async def leave(self) -> None:
        """Let another process take the sink at once."""
        with suppress(Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, AssertionError):
            async with self._database.connection() as connection:
                await connection.execute(_RELEASE, self._sink.name, self._holder)
        if (close := getattr(self._sink, "aclose", None)) is not None:
            await close()

    async def _hold(self) -> bool:
        """Have the lease for long enough to deliver once. False: another process has it."""
        if self._lease is not None and _now() < self._lease.until - timedelta(seconds=PUBLISH_SECONDS + 1):
            return True
        name, asked_at = self._sink.name, _now()
        async with self._database.connection() as connection:
            if not self._has_row:
                await connection.execute(_BEGIN, name, self._kind.value, begins_at_head(self._sink))
                self._has_row = True
            row = await connection.fetchrow(_LEASE, name, self._holder, LEASE_SECONDS)
        if row is None:
            # Also where somebody has removed the row: then it begins anew.
            self._lease, self._has_row = None, False
            return False
        self._lease = _Lease(row["position"], row["fence"], asked_at + timedelta(seconds=LEASE_SECONDS))
        return True

    async def _deliver(self) -> int:
        """Deliver the next events, and return how many there were."""
        assert self._lease is not None
        events = await self._stream.after(self._lease.position, self._most)
        await self._check_dense(events)
        if not events:
            return 0
        if isinstance(self._sink, Projection):
            async with self._database.transaction() as connection:
                await self._check_held(connection)
                await self._sink.apply(connection, events)
                await self._move(connection, events)
        else:
            rejected = await self._published(self._sink, events)
            async with self._database.transaction() as connection:
                await self._move(connection, events)
                for each in rejected:
                    await bury(connection, self._undelivered(each))
        self._lease.position = events[-1].position
        self._lease.until = _now() + timedelta(seconds=LEASE_SECONDS)
        return len(events)

    async def _published(self, publisher: Publisher, events: Sequence[Event]) -> Sequence[Rejected]:
        async with asyncio.timeout(PUBLISH_SECONDS):
            return await publisher.publish(events)

    async def _check_dense(self, events: Sequence[Event]) -> None:
        assert self._lease is not None
        expected = self._lease.position + 1
        for place, event in enumerate(events, expected):
            if event.position != place:
                raise EventsMissing(f"event {place} is missing: the stream goes on with {event.position}")
        if not events:
            async with self._database.connection() as connection:
                head = await connection.fetchval(_HEAD)
            if head < self._lease.position:
                raise EventsMissing(f"the stream ends with event {head}, before this sink's position {expected - 1}")

    async def _check_held(self, connection: "Connection") -> None:
        """Lock the row: who takes the lease meanwhile waits for the end of this transaction."""
        assert self._lease is not None
        name, fence = self._sink.name, self._lease.fence
        if await connection.fetchval(_HOLD, name, fence, self._holder) != self._lease.position:
            raise LeaseLost

    async def _move(self, connection: "Connection", events: Sequence[Event]) -> None:
        assert self._lease is not None
        held = self._lease
        moved = await connection.fetchval(
            _MOVE, self._sink.name, held.fence, held.position, events[-1].position, LEASE_SECONDS, self._holder
        )
        if moved is None:
            raise LeaseLost

    def _undelivered(self, rejected: Rejected) -> Undelivered:
        event = rejected.event
        return Undelivered(
            source=self._sink.name,
            reason=rejected.reason,
            body=record_of(event),
            event_id=event.event_id,
            type=event.type,
            partition_key=event.partition_key,
        )

    async def _send_again(self) -> None:
        """Publish what staff want to be sent again. It keeps its id, so who has it already leaves it out."""
        if isinstance(self._sink, Publisher) and monotonic() >= self._replays_after:
            sent = await send_replays(self._database, self._sink.name, partial(self._republished, self._sink))
            self._replays_after = monotonic() + (0 if sent else REPLAY_SECONDS)

    async def _republished(
        self, publisher: Publisher, letters: Sequence[DeadLetter]
    ) -> Sequence[tuple[DeadLetter, str]]:
        events: list[Event] = []
        by_id = {letter.event_id: letter for letter in letters}
        for letter in letters:
            event = await self._stream.find(EventId(letter.event_id or ""))
            events.append(event or event_in_record(letter.body))
        rejected = await getattr(publisher, "republish", publisher.publish)(events)
        return [(by_id[each.event.event_id], each.reason) for each in rejected]

    async def _failed(self, error: Exception) -> None:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        if self._failures == 0:
            log.warning("the sink has to wait", sink=self._sink.name, error=reason)
        wait = min(FIRST_WAIT * 2 ** min(self._failures, 10), LONGEST_WAIT)
        self._failures += 1
        if self._lease is not None:
            with suppress(Unavailable, asyncpg.PostgresError):
                async with self._database.connection() as connection:
                    await connection.execute(_FAIL, self._sink.name, self._lease.fence, reason)
        await asyncio.sleep(wait.total_seconds())

    async def _recovered(self) -> None:
        if self._failures == 0 or self._lease is None:
            return
        async with self._database.connection() as connection:
            await connection.execute(_RECOVER, self._sink.name, self._lease.fence)
        log.info("the sink goes on", sink=self._sink.name, failures=self._failures)
        self._failures = 0
