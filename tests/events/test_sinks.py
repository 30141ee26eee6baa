"""Sinks: every event once more rather than never, and each position behind what was delivered.

What can go wrong, and the test of it: the receiver is away; it refuses one event; the process dies between the delivery
and the position, or keeps a lease that is over; a projection fails after its writes; an event is missing; PostgreSQL
goes away.
"""

import pytest

from database.connections import Database
from events.dead_letter import LetterState
from events.postgres.arrivals import Arrivals
from events.postgres.dead_letters import DeadLetters, LetterSearch
from events.postgres.sink_runs import LeaseLost, SinkRun
from events.postgres.sinks import SinkReads
from events.postgres.tail import EventTail
from events.sink import SinkUnavailable, kind_of
from tests.connections import Connection
from tests.events.sinks import CountedEvents, KeptEvents, SlowEvents, delivered, emit, running, standing
from tests.waiting import until


async def test_a_publisher_gets_every_event_in_order_also_those_of_before_it(database: Database) -> None:
    sink = KeptEvents()
    await emit(database, "whe_1", "whe_2")
    async with running(database, sink):
        await delivered(database, sink.name)
        await emit(database, "whe_3")
        await delivered(database, sink.name)
    assert sink.subjects == ["whe_1", "whe_2", "whe_3"]
    assert sink.is_closed
    found = await standing(database, sink.name)
    assert (found.position, found.lag_events, found.lag_seconds, found.is_run) == (3, 0, 0, False)


async def test_a_sink_that_begins_at_the_head_gets_what_comes_after_its_first_run(database: Database) -> None:
    sink = KeptEvents()
    sink.begins_at_head = True  # type: ignore[attr-defined]
    await emit(database, "whe_1")
    async with running(database, sink):
        await delivered(database, sink.name)
        await emit(database, "whe_2")
        await delivered(database, sink.name)
    assert sink.subjects == ["whe_2"]


async def test_a_sink_whose_receiver_is_away_waits_and_its_lag_shows(database: Database) -> None:
    sink, is_away = KeptEvents(), True

    def fail() -> None:
        if is_away:
            raise SinkUnavailable("the receiver is away")

    sink.fail = fail
    await emit(database, "whe_1", "whe_2")
    async with running(database, sink):

        async def is_failing() -> bool:
            return any(each.failing_since is not None for each in await SinkReads(database).all())

        await until(is_failing, "the sink says that it fails", 5)
        found = await standing(database, sink.name)
        assert (found.position, found.lag_events, found.lag_seconds) == (0, 2, 1)
        assert found.last_error == "SinkUnavailable: the receiver is away"
        is_away = False
        await delivered(database, sink.name)
    found = await standing(database, sink.name)
    assert (sink.subjects, found.last_error, found.failing_since) == (["whe_1", "whe_2"], None, None)


async def test_an_event_that_is_refused_becomes_a_dead_letter_and_the_next_one_comes(database: Database) -> None:
    sink = KeptEvents()
    sink.refused = {"whe_2"}
    await emit(database, "whe_1", "whe_2", "whe_3")
    async with running(database, sink):
        await delivered(database, sink.name)
    assert sink.subjects[:3] == ["whe_1", "whe_2", "whe_3"]
    (letter,) = (await DeadLetters(database).find_all(LetterSearch(state=LetterState.DEAD), 10)).items
    assert (letter.source, letter.reason, letter.event_id) == ("kept", "refused", sink.event_ids[1])
    assert letter.body["subject"] == "whe_2"
    assert await DeadLetters(database).counts() == {"kept": 1}


async def test_a_sink_that_dies_before_its_position_moves_delivers_once_more_and_loses_nothing(
    database: Database,
) -> None:
    sink, deaths = KeptEvents(), [1]

    def die() -> None:
        if deaths:
            deaths.pop()
            raise RuntimeError("died between the delivery and the position")

    sink.fail_late = die
    await emit(database, "whe_1")
    async with running(database, sink):
        await delivered(database, sink.name)
    assert sink.subjects == ["whe_1", "whe_1"]
    assert len(set(sink.event_ids)) == 1, "its id says that it is the same event"


async def test_a_projection_applies_each_event_once_although_it_fails_after_its_writes(
    database: Database, owner: Connection
) -> None:
    sink, fails = CountedEvents(), [1, 2]

    def fail() -> None:
        if fails:
            fails.pop()
            raise RuntimeError("after the writes")

    sink.fail = fail
    await emit(database, *(f"whe_{number}" for number in range(7)))
    async with running(database, sink):
        await delivered(database, sink.name)
    assert await owner.fetchval("SELECT count(*) FROM processed_events") == 7
    assert not fails


async def test_two_processes_share_no_sink_and_the_second_goes_on_when_the_first_stops(database: Database) -> None:
    first, second = KeptEvents(), KeptEvents()
    async with running(database, second):
        await delivered(database, "kept")
        async with running(database, first):
            await emit(database, "whe_1")
            await delivered(database, "kept")
        assert (first.subjects, second.subjects) == ([], ["whe_1"])
    async with running(database, first):
        await emit(database, "whe_2")
        await delivered(database, "kept")
    assert (first.subjects, second.subjects) == (["whe_2"], ["whe_1"])


async def test_a_sink_that_is_behind_rests_in_proportion_to_what_a_delivery_took(database: Database) -> None:
    """A batch writes tens of thousands of events at once: whoever is told of them leaves the machine to the posting."""
    sink = SlowEvents()
    await emit(database, "whe_1", "whe_2", "whe_3")
    async with running(database, sink):
        await delivered(database, sink.name)
    took = [ended - begun for begun, ended in zip(sink.begun, sink.ended, strict=True)]
    rested = [begun - ended for ended, begun in zip(sink.ended, sink.begun[1:], strict=False)]
    assert len(rested) == 2
    # A timer of the event loop may be a millisecond early.
    assert all(rest > 0.9 * SlowEvents.rests_for * before for before, rest in zip(took, rested, strict=False))


async def test_a_former_holder_of_the_lease_moves_no_position(database: Database, owner: Connection) -> None:
    sink = KeptEvents()
    arrivals = Arrivals(database)
    runner = SinkRun(database, sink, arrivals, EventTail(database, arrivals))
    await emit(database, "whe_1")
    assert await runner.hold()
    await owner.execute("UPDATE sinks SET lease = 'another', fence = fence + 1")
    with pytest.raises(LeaseLost):
        await runner.deliver()
    assert (await standing(database, "kept")).position == 0


async def test_no_gap_in_the_positions_passes_a_sink_unnoticed(database: Database, owner: Connection) -> None:
    sink = KeptEvents()
    await emit(database, "whe_1", "whe_2", "whe_3")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("DELETE FROM outbox_events WHERE position = 2")
    async with running(database, sink):

        async def is_failing() -> bool:
            return any(each.last_error is not None for each in await SinkReads(database).all())

        await until(is_failing, "the sink says that an event is missing", 5)
    assert (await standing(database, "kept")).last_error == (
        "EventsMissing: event 2 is missing: the stream goes on with 3"
    )
    assert sink.subjects == ["whe_1"]


async def test_a_sink_goes_on_after_postgresql_was_away(database: Database, owner: Connection) -> None:
    sink = KeptEvents()
    async with running(database, sink):
        await delivered(database, sink.name)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        async def is_back() -> bool:
            try:
                await emit(database, "whe_1")
            except Exception:  # noqa: BLE001 - whatever it says, it is tried again
                return False
            return True

        await until(is_back, "PostgreSQL answers", 5)
        await delivered(database, sink.name)
    assert set(sink.subjects) == {"whe_1"}


def test_a_sink_is_a_publisher_or_a_projection_and_nothing_else() -> None:
    assert (kind_of(KeptEvents()), kind_of(CountedEvents())) == ("publisher", "projection")
    with pytest.raises(TypeError, match="is no sink"):
        kind_of(object())  # type: ignore[arg-type]
