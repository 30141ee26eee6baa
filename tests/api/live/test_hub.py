"""What the hub keeps for its subscribers, and what they may take of its connections."""

import asyncio
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from api.live import hub
from api.live.hub import EventHub, Subscription, TooSlow
from database.connections import Database
from database.paging import Page
from events.event import Event, EventId, EventType
from events.postgres.search import EventSearch
from ledger.ids import AccountId, CustomerId
from tests.connections import Connection
from tests.waiting import until

ADA, BEN = CustomerId("cus_ada"), CustomerId("cus_ben")


def event(position: int) -> Event:
    return Event(
        position,
        EventId(f"evt_{position}"),
        EventType.ACCOUNT_FROZEN,
        1,
        "acc_a",
        "acc_a",
        AccountId("acc_a"),
        None,
        (ADA,),
        {},
        None,
        datetime.now(UTC),
    )


def following(reader: CustomerId = ADA) -> Subscription:
    return EventHub(cast("Database", None)).subscribe(reader, [EventType.ACCOUNT_FROZEN], 0)


class SlowSearches:
    """Says who reads, and how many at once."""

    def __init__(self) -> None:
        self.readers: list[CustomerId | None] = []
        self.now = self.most = 0

    async def find(self, wanted: EventSearch, limit: int) -> Page[Event]:
        del limit
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        self.readers.append(wanted.reader)
        return Page([], has_more=False)


async def test_a_subscription_that_is_over_keeps_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MOST_WAITING", 5)
    subscription = following()
    for position in range(1, 30):
        subscription.put(event(position))
    assert not subscription._waiting  # noqa: SLF001 - memory is what this is about
    with pytest.raises(TooSlow):
        await anext(subscription.events())


async def test_those_who_catch_up_leave_a_connection_to_the_hub_and_wait_their_turn() -> None:
    searches, of_all = SlowSearches(), EventHub(cast("Database", None))
    of_all._searches = searches  # type: ignore[assignment]  # noqa: SLF001 - stands for a slow PostgreSQL
    asks = [*([ADA] * 20), BEN]
    await asyncio.gather(*(of_all.missed_by(of_all.subscribe(reader, [], 0), 0) for reader in asks))
    assert searches.most == 1
    assert len(searches.readers) == 21
    assert BEN in searches.readers[:3]


async def test_a_subscriber_misses_nothing_while_postgresql_is_away(database_url: str, owner: Connection) -> None:
    name = await owner.fetchval("SELECT current_database()")
    # A database cannot shut its own door.
    beside = await asyncpg.connect(urlunsplit(urlsplit(database_url)._replace(path="/postgres")))
    async with Database(database_url, 3, "test-hub") as database:
        live = EventHub(database)
        following, received = asyncio.create_task(live.keep_following()), list[str]()
        subscription = live.subscribe(ADA, [EventType.WEBHOOK_ENDPOINT_FAILING])

        async def read() -> None:
            async for each in subscription.events():
                received.append(each.subject)

        async def has(count: int) -> bool:
            return len(received) == count

        async def tell(subject: str) -> None:
            answered = "SELECT emit_event('webhook_endpoint.failing', $1, $1, NULL, NULL, ARRAY['cus_ada'], '{}')"
            await owner.execute(answered, subject)
            await owner.execute("SELECT number_events(500)")

        reading = asyncio.create_task(read())
        await until(lambda: _has_begun(live), "the hub knows where it is", 5)
        await tell("whe_1")
        await until(lambda: has(1), "the first has come", 5)
        await beside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await tell("whe_2")
        await asyncio.sleep(2 * hub.RETRY_SECONDS)
        assert (received, following.done(), reading.done()) == (["whe_1"], False, False)
        await beside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await beside.close()
        await until(lambda: has(2), "what happened meanwhile has come", 10)
        await tell("whe_3")
        await until(lambda: has(3), "the hub goes on", 5)
        assert received == ["whe_1", "whe_2", "whe_3"]
        for task in (reading, following):
            task.cancel()
        await asyncio.gather(reading, following, return_exceptions=True)


async def _has_begun(live: EventHub) -> bool:
    return live._position is not None  # noqa: SLF001 - no subscriber is told where the hub begins
