"""The months of the outbox: made ahead, and dropped only when old, numbered and passed by every sink."""

import pytest

from database.connections import Database
from events.postgres.retention import drop_old_events
from events.postgres.search import EventSearches
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from tests.connections import Connection
from tests.trail.test_months import PARTITIONS

WRITE = (
    "INSERT INTO outbox_events (type, subject, partition_key, audience, data, occurred_at) "
    "VALUES ('delivery.dead', $1, 'key', '{}', '{}', $2)"
)

ENDPOINT = "INSERT INTO webhook_endpoints (id, url, types, secrets) VALUES ('whe_' || repeat('a', 26), 'x', '{}', 'x')"
HELD = """
    INSERT INTO deliveries (endpoint_id, event_id, type, partition_key, position)
    SELECT 'whe_' || repeat('a', 26), event_id, type, partition_key, position FROM outbox_events
    WHERE position IS NOT NULL AND subject = 'two'
"""


@pytest.fixture
async def old(owner: Connection) -> str:
    """A partition of five months ago, as a worker made it then, with two events; a third one is of today."""
    first = await owner.fetchval("SELECT date_trunc('month', now(), 'UTC') - interval '5 months'")
    after = await owner.fetchval("SELECT $1::timestamptz + interval '1 month'", first)
    name = f"outbox_events_{first:%Y_%m}"
    await owner.execute(f"CREATE TABLE {name} (LIKE outbox_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    await owner.execute(f"ALTER TABLE outbox_events ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{after}')")
    for subject in ("one", "two"):
        await owner.execute(WRITE, subject, first)
    await owner.execute(WRITE, "today", await owner.fetchval("SELECT now()"))
    return name


async def months(owner: Connection) -> list[str]:
    return list(await owner.fetchval(PARTITIONS, "outbox_events"))


async def test_this_months_events_and_those_of_the_next_three_have_their_partitions(owner: Connection) -> None:
    assert len(await months(owner)) == 5, "four months and the default one"


async def test_an_old_month_is_dropped_once_it_is_numbered_and_every_sink_has_passed_it(
    old: str, database: Database, owner: Connection
) -> None:
    await drop_old_events(database, 90)
    assert old in await months(owner), "its events have no position yet"
    await number_all(database)
    await owner.execute("INSERT INTO sinks (name, kind, position) VALUES ('a', 'publisher', 1), ('b', 'publisher', 3)")
    await drop_old_events(database, 90)
    assert old in await months(owner), "a sink is at 1"
    await owner.execute("UPDATE sinks SET position = 2 WHERE name = 'a'")
    await drop_old_events(database, 180)
    assert old in await months(owner), "it is not so old"
    await drop_old_events(database, 90)
    assert old not in await months(owner)
    extent = await EventSearches(database).extent()
    assert (extent.dropped_through, extent.last) == (2, 3)
    assert [event.subject for event in await EventStream(database).after(0, 9)] == ["today"]


async def test_an_old_month_stays_while_an_endpoint_is_to_get_an_event_of_it(
    old: str, database: Database, owner: Connection
) -> None:
    await number_all(database)
    await owner.execute(ENDPOINT)
    await owner.execute(HELD)
    await drop_old_events(database, 90)
    assert old in await months(owner)
    await owner.execute("UPDATE deliveries SET state = 'delivered', ended_at = now()")
    await drop_old_events(database, 90)
    assert old not in await months(owner)


async def test_a_worker_drops_no_week_of_events_whatever_it_asks_for(database: Database, owner: Connection) -> None:
    before = await months(owner)
    await drop_old_events(database, 0)
    assert await months(owner) == before
