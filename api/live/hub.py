"""Follows the numbered events for all who are connected to this process, and hands each of them what they may see.

A process needs PostgreSQL for it and no other server. A subscriber that gives its cursor to another process goes on
there: it misses nothing and gets nothing twice.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from typing import NoReturn
from weakref import WeakValueDictionary

import structlog

from database.connections import Database, Unavailable
from database.paging import Page
from events.event import Event, EventType
from events.postgres.arrivals import Arrivals
from events.postgres.search import EventSearch, EventSearches
from events.postgres.stream import EventStream
from events.views import as_seen_by
from ledger.ids import CustomerId

log = structlog.get_logger()

# How long the hub waits after an error.
RETRY_SECONDS = 0.5
EVENTS_AT_ONCE = 500

# Subscribers that read what they missed, one of each customer: the hub's own read has a connection to itself.
CATCH_UPS_AT_ONCE = 1

# Events that wait for one subscriber. A slower one is ended, and comes again with its cursor.
MOST_WAITING = 500


class StreamOver(Exception):
    """The subscription has ended. The client may come again with its cursor, unless its sign-in is over."""

    reason = "The stream has ended."


class TooSlow(StreamOver):
    """The client reads more slowly than events come."""

    reason = "Too many events wait for you. Come again with your cursor."


class Stopping(StreamOver):
    """The process stops."""

    reason = "This process stops. Come again with your cursor."


class SignInOver(StreamOver):
    """The session, the access token or the API key has ended."""

    reason = "Your sign-in has ended. Sign in again, and come with your cursor."


class Subscription:
    """One subscriber's events of some types: those behind its cursor, then each new one, once and in order."""

    def __init__(self, hub: "EventHub", reader_id: CustomerId, types: Collection[EventType], after: int | None) -> None:
        """Without a cursor (`after`), it begins with the next event."""
        self.reader_id = reader_id
        self.types = frozenset(types)
        self._hub = hub
        self._after = after
        self._since: int | None = None
        self._waiting: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._over: StreamOver | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """As this customer may see them. Raises `StreamOver`. The hub forgets the subscription when this is closed."""
        self._hub.add(self)
        try:
            position = await self._first_position()
            async for event in self._missed(position):
                position = event.position
                yield event
            # What the hub has handed on before this is among those that were read, or was seen before.
            assert self._since is not None
            position = max(position, self._since)
            while True:
                event = await self._next()
                if event.position > position:
                    position = event.position
                    yield event
        finally:
            self._hub.remove(self)

    def begin(self, position: int) -> None:
        """The hub hands on what is behind this position."""
        if self._since is None:
            self._since = position
            self._changed.set()

    def put(self, event: Event) -> None:
        """Keep an event until the subscriber reads it, unless it is over. Never waits."""
        if self._over is not None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.end(TooSlow())
        elif (seen := as_seen_by(event, self.reader_id)) is not None:
            self._waiting.append(seen)
            self._changed.set()

    def end(self, over: StreamOver) -> None:
        """End it at once: what waits is dropped, and read again behind the cursor."""
        self._over = self._over or over
        self._waiting.clear()
        self._changed.set()

    async def _first_position(self) -> int:
        while self._since is None:
            await self._change()
        return self._since if self._after is None else self._after

    async def _missed(self, position: int) -> AsyncIterator[Event]:
        assert self._since is not None
        while position < self._since:
            try:
                found = await self._hub.missed_by(self, position)
            except Unavailable:
                await self._pause()
                continue
            for event in found.items:
                if self._over is not None:
                    raise self._over
                position = event.position
                if (seen := as_seen_by(event, self.reader_id)) is not None:
                    yield seen
            if not found.has_more:
                return

    async def _next(self) -> Event:
        while not self._waiting:
            await self._change()
        if self._over is not None:
            raise self._over
        return self._waiting.popleft()

    async def _change(self) -> None:
        if self._over is not None:
            raise self._over
        self._changed.clear()
        await self._changed.wait()
        if self._over is not None:
            raise self._over

    async def _pause(self) -> None:
        if self._over is not None:
            raise self._over
        await asyncio.sleep(RETRY_SECONDS)


class EventHub:
    """Reads each event once for all subscribers of the process, and nothing while there are none."""

    def __init__(self, database: Database) -> None:
        """`database` is for the hub alone: a connection to listen, one to read, and `CATCH_UPS_AT_ONCE`."""
        self._stream = EventStream(database)
        self._searches = EventSearches(database)
        self._arrivals = Arrivals(database)
        self._by_reader: dict[CustomerId, set[Subscription]] = {}
        self._position: int | None = None
        self._needed = asyncio.Event()
        self._is_closed = False
        self._catch_ups = asyncio.Semaphore(CATCH_UPS_AT_ONCE)
        self._turns: WeakValueDictionary[CustomerId, asyncio.Lock] = WeakValueDictionary()

    @property
    def subscriptions(self) -> int:
        """How many there are."""
        return sum(map(len, self._by_reader.values()))

    def subscribe(self, reader_id: CustomerId, types: Collection[EventType], after: int | None = None) -> Subscription:
        """A customer's subscription to their own events of these types."""
        return Subscription(self, reader_id, types, after)

    async def missed_by(self, subscription: Subscription, position: int) -> Page[Event]:
        """Its next events behind a position that the hub may have left long ago. Raises `Unavailable`."""
        wanted = EventSearch(after=position, types=subscription.types, reader=subscription.reader_id)
        # A customer waits in one place of the queue, however many streams they have.
        turn = self._turns.setdefault(subscription.reader_id, asyncio.Lock())
        async with turn, self._catch_ups:
            return await self._searches.find(wanted, EVENTS_AT_ONCE)

    def add(self, subscription: Subscription) -> None:
        """Hand it what is behind the hub's position from now on."""
        if self._is_closed:
            subscription.end(Stopping())
        self._by_reader.setdefault(subscription.reader_id, set()).add(subscription)
        if self._position is not None:
            subscription.begin(self._position)
        self._needed.set()

    def remove(self, subscription: Subscription) -> None:
        """Forget it. Nothing happens where it is not known."""
        own = self._by_reader.get(subscription.reader_id)
        if own is not None:
            own.discard(subscription)
            if not own:
                del self._by_reader[subscription.reader_id]

    def close(self) -> None:
        """End all subscriptions, and each new one: the process stops."""
        self._is_closed = True
        for subscription in self._all():
            subscription.end(Stopping())

    async def keep_following(self) -> NoReturn:
        """Hand events on until it is cancelled. It survives every error, and logs when it stops and when it goes on."""
        listening = asyncio.create_task(self._arrivals.keep_listening())
        is_failing = False
        try:
            while True:
                try:
                    await self._needed.wait()
                    if self._position is None:
                        self._begin(await self._stream.head())
                    await self._hand_on()
                except Exception as error:  # noqa: BLE001 - nobody awaits this task: it would end unseen
                    if not is_failing:
                        log.warning("events are not handed on for now", error=" ".join(f"{error!r}".split()))
                    is_failing = True
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if is_failing:
                    log.info("events are handed on again")
                    is_failing = False
                await self._wait()
        finally:
            listening.cancel()

    def _begin(self, position: int) -> None:
        self._position = position
        for subscription in self._all():
            subscription.begin(position)

    async def _hand_on(self) -> None:
        """All events behind the position, to whom they concern. Nobody is waited for."""
        while self._by_reader:
            assert self._position is not None
            events = await self._stream.after(self._position, EVENTS_AT_ONCE)
            for event in events:
                self._position = event.position
                for reader_id in event.audience:
                    for subscription in self._by_reader.get(reader_id, ()):
                        if event.type in subscription.types:
                            subscription.put(event)
            if len(events) < EVENTS_AT_ONCE:
                return
            await asyncio.sleep(0)  # subscribers read in between

    async def _wait(self) -> None:
        """Until there may be more. Without subscribers, the position is forgotten."""
        if not self._by_reader:
            self._position = None
            self._needed.clear()
            return
        assert self._position is not None
        await self._arrivals.wait(self._position)

    def _all(self) -> list[Subscription]:
        return [each for own in self._by_reader.values() for each in own]
