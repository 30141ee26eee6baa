"""The tail: sinks of one process read each event once between them, miss none, and see what PostgreSQL really has."""

import asyncio

import pytest

from database.connections import Database
from events.event import Event, EventType
from events.postgres.arrivals import Arrivals
from events.postgres.stream import EventStream
from events.postgres.tail import EventTail
from tests.connections import Connection
from tests.events.sinks import KeptEvents, delivered, emit, running, standing
from tests.waiting import until


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions that were read from PostgreSQL, in order."""
    positions: list[int] = []
    after = EventStream.after

    async def counted(stream: EventStream, position: int, limit: int) -> list[Event]:
        found = await after(stream, position, limit)
        positions.extend(event.position for event in found)
        return found

    monkeypatch.setattr(EventStream, "after", counted)
    return positions


def _subjects(events: list[Event]) -> list[str]:
    return [event.subject for event in events]


async def test_sinks_at_the_head_read_each_event_once_between_them(database: Database, read: list[int]) -> None:
    tail = EventTail(database, Arrivals(database))
    await emit(database, "whe_1", "whe_2")
    first, second = await asyncio.gather(tail.after(0, 500), tail.after(0, 500))
    assert _subjects(first) == _subjects(second) == ["whe_1", "whe_2"]
    await emit(database, "whe_3")
    assert _subjects(await tail.after(2, 500)) == ["whe_3"]
    assert _subjects(await tail.after(1, 500)) == ["whe_2", "whe_3"]
    assert read == [1, 2, 3]


async def test_a_sink_that_lags_reads_for_itself_and_hinders_no_other(database: Database, read: list[int]) -> None:
    tail = EventTail(database, Arrivals(database), most=2)
    await emit(database, *(f"whe_{number}" for number in range(1, 7)))
    assert _subjects(await tail.after(3, 3)) == ["whe_4", "whe_5", "whe_6"]
    assert _subjects(await tail.after(0, 2)) == ["whe_1", "whe_2"]
    assert _subjects(await tail.after(2, 3)) == ["whe_3", "whe_4", "whe_5"]
    read.clear()
    assert _subjects(await tail.after(4, 9)) == ["whe_5", "whe_6"]
    assert read == []


async def test_a_sink_whose_events_are_pushed_out_while_it_waits_for_its_turn_reads_them_itself(
    database: Database,
) -> None:
    tail = EventTail(database, Arrivals(database), most=2)
    await emit(database, *(f"whe_{number}" for number in range(1, 7)))
    assert _subjects(await tail.after(0, 2)) == ["whe_1", "whe_2"]
    first, second = await asyncio.gather(tail.after(2, 3), tail.after(0, 2))
    assert _subjects(first) == ["whe_3", "whe_4", "whe_5"]
    assert _subjects(second) == ["whe_1", "whe_2"]


async def test_a_tail_hides_no_gap(database: Database, owner: Connection) -> None:
    tail = EventTail(database, Arrivals(database))
    await emit(database, "whe_1", "whe_2", "whe_3")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("DELETE FROM outbox_events WHERE position = 2")
    assert _subjects(await tail.after(0, 9)) == ["whe_1"]
    assert [event.position for event in await tail.after(1, 9)] == [3], "whoever asks sees that 2 is missing"


async def test_events_of_restored_books_are_read_anew(database: Database, owner: Connection) -> None:
    arrivals = Arrivals(database)
    tail, listening = EventTail(database, arrivals), asyncio.create_task(arrivals.keep_listening())
    await emit(database, "whe_1", "whe_2")
    assert len(await tail.after(0, 9)) == 2
    await until(lambda: _is_true(arrivals.knows_none_after(2)), "the process knows of both", 5)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("DELETE FROM outbox_events WHERE position = 2")
    await owner.execute("UPDATE event_head SET last = 1")
    await until(lambda: _is_true(arrivals.restores > 0), "the process has seen that there are fewer", 5)
    await emit(database, "whe_other")
    assert _subjects(await tail.after(0, 9)) == ["whe_1", "whe_other"]
    listening.cancel()


async def _is_true(value: bool) -> bool:
    return value


async def test_a_sink_of_some_types_gets_no_other_event_and_passes_them_all(database: Database) -> None:
    sink = KeptEvents()
    sink.types = (EventType.DELIVERY_DEAD,)  # type: ignore[attr-defined]
    sink.most_at_once = 2  # type: ignore[attr-defined]
    await emit(database, "whe_1")
    async with database.connection() as connection:
        for number in range(3):
            await connection.execute(
                "SELECT emit_event('delivery.dead', $1, $1, NULL, NULL, '{}', '{}')", f"dlt_{number}"
            )
    await emit(database, "whe_2")
    async with running(database, sink):
        await delivered(database, sink.name)
    assert sink.subjects == ["dlt_0", "dlt_1", "dlt_2"]
    assert (await standing(database, sink.name)).position == 5


async def test_a_process_hears_at_once_of_what_it_numbers_itself(database: Database) -> None:
    arrivals = Arrivals(database)
    waiting = asyncio.create_task(arrivals.wait(0, seconds=60))
    await asyncio.sleep(0)
    arrivals.announce(1)
    await asyncio.wait_for(waiting, 1)
    assert arrivals.knows_more_after(0)
    assert not arrivals.knows_none_after(1), "PostgreSQL has not been asked"
