"""Runs sinks: reads what follows a sink's position, delivers it, and moves the position behind it.

One process runs a sink at a time, by a lease in its row. Each new holder gets a higher fence, and a position is moved
only under the present one: a process that was away too long may publish some events once more, and moves nothing. A
publisher's position moves after the confirm, a projection's in the transaction of its rows.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

import asyncpg
import structlog

from database.connections import Database, Unavailable
from events.dead_letter import DeadLetter, Undelivered
from events.event import Event, EventId
from events.event_record import event_in_record, record_of
from events.postgres.arrivals import Arrivals
from events.postgres.dead_letters import bury, send_replays
from events.postgres.stream import EventStream
from events.postgres.tail import EventTail
from events.sink import (
    Projection,
    Publisher,
    Rejected,
    Sink,
    begins_at_head,
    kind_of,
    most_at_once,
    pause_milliseconds,
    rests_for,
    types_of,
)

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

BATCH = 500

# The least time from one delivery to the next after few events, and after more: under load each has more of them, and
# leaves more of the machine to transfers.
PAUSE_MILLISECONDS = 100
LOADED_PAUSE_MILLISECONDS = 400
LOADED_FROM_EVENTS = 20

# A sink that is behind rests after each delivery for as long as that took, unless it says otherwise, and no longer than
# this. A busy machine takes longer for a delivery, so the rest grows with the load: ten thousand transfers at once are
# posted first, and told then.
RESTS_FOR = 1
LONGEST_REST_SECONDS = 2

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


class LeaseLost(Exception):
    """Another process runs the sink by now. What this one delivered last may be delivered once more."""


class EventsMissing(Exception):
    """The stream has no event with the next position. The sink stops: it would leave something out."""


async def run_sinks(database: Database, arrivals: Arrivals, configured: Sequence[Sink]) -> None:
    """Run all of these until the task is cancelled. Every worker may: each sink runs in one process at a time."""
    tail = EventTail(database, arrivals)
    async with asyncio.TaskGroup() as group:
        for sink in configured:
            group.create_task(run_sink(database, sink, arrivals, tail), name=f"sink {sink.name}")


async def run_sink(database: Database, sink: Sink, arrivals: Arrivals, tail: EventTail | None = None) -> NoReturn:
    """Deliver every event to the sink, in the order of positions, until the task is cancelled.

    Sinks of one process share a `tail`, and read each event once between them. Whatever goes wrong, it waits and tries
    again; the sink's row, the log and the metrics say so meanwhile.
    """
    runner = SinkRun(database, sink, arrivals, tail or EventTail(database, arrivals))
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


class SinkRun:
    """One process's run of one sink. `run` goes on until it is cancelled, and `leave` ends it."""

    def __init__(self, database: Database, sink: Sink, arrivals: Arrivals, tail: EventTail) -> None:
        self._database = database
        self._stream = EventStream(database)
        self._sink = sink
        self._arrivals = arrivals
        self._tail = tail
        self._kind = kind_of(sink)
        self._holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
        self._lease: _Lease | None = None
        self._failures = 0
        self._replays_after = monotonic()
        self._has_row = False
        self._most = most_at_once(sink, BATCH)
        self._types = types_of(sink)
        self._pause = pause_milliseconds(sink, PAUSE_MILLISECONDS)
        self._rests_for = rests_for(sink, RESTS_FOR)

    async def run(self) -> NoReturn:
        """Deliver for ever."""
        while True:
            try:
                if not await self.hold():
                    await asyncio.sleep(ASK_SECONDS)
                    continue
                began = monotonic()
                delivered, has_more = await self.deliver()
                took = monotonic() - began
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
                elif has_more:
                    await asyncio.sleep(min(took * self._rests_for, LONGEST_REST_SECONDS))
                else:
                    least = LOADED_PAUSE_MILLISECONDS if delivered >= LOADED_FROM_EVENTS else 0
                    await asyncio.sleep(max(self._pause, least) / 1_000)

    async def leave(self) -> None:
        """Let another process take the sink at once."""
        with suppress(Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, AssertionError):
            async with self._database.connection() as connection:
                await connection.execute(_RELEASE, self._sink.name, self._holder)
        if (close := getattr(self._sink, "aclose", None)) is not None:
            await close()

    async def hold(self) -> bool:
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

    async def deliver(self) -> tuple[int, bool]:
        """Deliver the next events: behind how many the position is now, and whether there are surely more."""
        assert self._lease is not None
        if self._arrivals.knows_none_after(self._lease.position):
            return 0, False
        asked = self._most if self._types is None else BATCH
        events = await self._tail.after(self._lease.position, asked)
        await self._check_dense(events)
        if not events:
            return 0, False
        passed, wanted = self._chosen(events)
        if isinstance(self._sink, Projection):
            async with self._database.transaction() as connection:
                # Locks the row first: who takes the lease meanwhile waits for the end of this transaction.
                await self._move(connection, passed)
                if wanted:
                    await self._sink.apply(connection, wanted)
            if (committed := getattr(self._sink, "committed", None)) is not None:
                committed()
        else:
            rejected = await self._published(self._sink, wanted) if wanted else ()
            await self._move_behind(passed, rejected)
        self._lease.position = passed[-1].position
        self._lease.until = _now() + timedelta(seconds=LEASE_SECONDS)
        return len(passed), len(passed) < len(events) or len(events) == asked

    def _chosen(self, events: Sequence[Event]) -> tuple[Sequence[Event], Sequence[Event]]:
        """Events that the position passes, and those of them that the sink gets: no more than it takes in one call."""
        if self._types is None:
            return events, events
        wanted: list[Event] = []
        for place, event in enumerate(events):
            if event.type in self._types:
                if len(wanted) == self._most:
                    return events[:place], wanted
                wanted.append(event)
        return events, wanted

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

    async def _move_behind(self, events: Sequence[Event], rejected: Sequence[Rejected]) -> None:
        if not rejected:
            async with self._database.connection() as connection:
                await self._move(connection, events)
            return
        async with self._database.transaction() as connection:
            await self._move(connection, events)
            for each in rejected:
                await bury(connection, self._undelivered(each))

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
        self._tail.forget()
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
