"""Readers of the stream, however far they are behind and whatever is gone."""

from functools import partial

import pytest

from database.connections import Database
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from tests.connections import Connection
from tests.scale.explained import ExplainedDatabase

EMIT = "SELECT emit_event('delivery.dead', n::text, 'key', NULL, NULL, '{}', '{}') FROM generate_series(1, $1) AS n"
KNOWN, NEW, ASKED = 2_000, 3_000, 100


async def emit(database: Database, count: int) -> None:
    async with database.connection() as connection:
        await connection.execute(EMIT, count)
    await number_all(database)


@pytest.mark.parametrize("position", [0, KNOWN, KNOWN + NEW - ASKED])
async def test_a_reader_far_behind_reads_no_more_events_than_it_asks_for(
    database: Database, database_url: str, owner: Connection, position: int
) -> None:
    await emit(database, KNOWN)
    await owner.execute("ANALYZE outbox_events")
    # Behind the last one that its statistics know, PostgreSQL expects none.
    await emit(database, NEW)
    async with ExplainedDatabase(database_url, connections=1) as explained:
        found = await explained.explain(partial(EventStream(explained).after, position, ASKED), as_it_is=True, runs=1)
    (plan,) = found.plans
    read = [node["Actual Rows"] * node["Actual Loops"] for node in plan.nodes if "Scan" in node["Node Type"]]
    assert sum(read) == ASKED, plan.scans


async def test_a_reader_before_a_month_that_was_dropped_goes_on_behind_it(
    database: Database, owner: Connection
) -> None:
    await emit(database, 30)
    await owner.execute("UPDATE event_head SET dropped_through = 20")
    await owner.execute("ALTER TABLE outbox_events DISABLE TRIGGER ALL")
    await owner.execute("DELETE FROM outbox_events WHERE position BETWEEN 3 AND 20")

    async def positions(after: int, most: int) -> list[int]:
        return [event.position for event in await EventStream(database).after(after, most)]

    assert await positions(0, 5) == [1, 2], "what is left of before the gap is kept from nobody"
    assert await positions(2, 5) == [21, 22, 23, 24, 25]
    assert await positions(25, 50) == [26, 27, 28, 29, 30]
    assert await positions(30, 5) == []
