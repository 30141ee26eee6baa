"""Sinks for tests, and how a test runs one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from database.connections import Database
from events.event import Event
from events.postgres.arrivals import Arrivals
from events.postgres.sequencer import number_all
from events.postgres.sink_runs import run_sink
from events.postgres.sinks import SinkReads, SinkStanding
from events.postgres.tail import EventTail
from events.sink import Rejected, Sink
from tests.waiting import until

EMIT = "SELECT emit_event('webhook_endpoint.failing', $1, $1, NULL, NULL, '{}', $2::jsonb)"


class KeptEvents:
    """A publisher that keeps what it is given.

    `fail` and `fail_late` run before and after that, and may raise; `refused` are subjects that it rejects.
    """

    name = "kept"

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.event_ids: list[str] = []
        self.refused: set[str] = set()
        self.fail: Callable[[], None] = lambda: None
        self.fail_late: Callable[[], None] = lambda: None
        self.is_closed = False

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        self.fail()
        self.subjects += [event.subject for event in events]
        self.event_ids += [event.event_id for event in events]
        self.fail_late()
        return [Rejected(event, "refused") for event in events if event.subject in self.refused]

    async def aclose(self) -> None:
        self.is_closed = True


class SlowEvents:
    """A publisher that takes its time for each event, and keeps when it began and ended."""

    name = "slow"
    most_at_once = 1
    rests_for = 4

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []

    async def publish(self, _events: Sequence[Event]) -> Sequence[Rejected]:
        self.begun.append(monotonic())
        await asyncio.sleep(0.05)
        self.ended.append(monotonic())
        return []


class CountedEvents:
    """A projection: one row for each event, in a table of the test. A second row of one event is an error."""

    name = "counted"
    most_at_once = 3

    def __init__(self) -> None:
        self.fail: Callable[[], None] = lambda: None

    async def apply(self, connection: Any, events: Sequence[Event]) -> None:
        await connection.executemany(
            "INSERT INTO processed_events VALUES ('counted', $1)", [(e.event_id,) for e in events]
        )
        self.fail()


async def emit(database: Database, *subjects: str, data: str = "{}") -> None:
    async with database.connection() as connection:
        for subject in subjects:
            await connection.execute(EMIT, subject, data)
    await number_all(database)


async def standing(database: Database, name: str) -> SinkStanding:
    (found,) = [each for each in await SinkReads(database).all() if each.name == name]
    return found


async def delivered(database: Database, name: str) -> None:
    """Return once the sink has delivered every event."""

    async def is_done() -> bool:
        return any(each.name == name and each.lag_events == 0 for each in await SinkReads(database).all())

    await until(is_done, f"{name} has delivered all events", 20)


@asynccontextmanager
async def running(database: Database, *sinks: Sink) -> AsyncIterator[None]:
    """Each of these sinks in a task of its own, as in one process."""
    arrivals = Arrivals(database)
    tail = EventTail(database, arrivals)
    tasks = [asyncio.create_task(run_sink(database, sink, arrivals, tail)) for sink in sinks]
    tasks.append(asyncio.create_task(arrivals.keep_listening()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)
