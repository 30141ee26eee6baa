"""What the hub keeps for its subscribers, and what they may take of its connections."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest

from api.live import hub
from api.live.hub import EventHub, Subscription, TooSlow
from database.connections import Database
from database.paging import Page
from events.event import Event, EventId, EventType
from events.postgres.search import EventSearch
from ledger.ids import AccountId, CustomerId

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
