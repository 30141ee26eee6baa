"""The last events that this process has read, for all of its sinks: near the head each event is read once for all.

A numbered event never changes, so what was read once need not be asked for again.
"""

import asyncio

from database.connections import Database
from events.event import Event
from events.postgres.arrivals import Arrivals
from events.postgres.stream import EventStream

# What a sink that pauses for a second may leave to be read while a batch is posted: each chunk has 2,500 events.
MOST_KEPT = 10_000


class EventTail:
    """Events behind a position, from memory where they are the last ones. Raises `Unavailable`.

    A sink that is further behind reads for itself, and hinders no other.
    """

    def __init__(self, database: Database, arrivals: Arrivals, most: int = MOST_KEPT) -> None:
        self._stream = EventStream(database)
        self._arrivals = arrivals
        self._most = most
        self._events: list[Event] = []
        self._through = 0
        self._restores = arrivals.restores
        self._turn = asyncio.Lock()

    async def after(self, position: int, limit: int) -> list[Event]:
        """The next events behind this position, in order, at most `limit`, as `EventStream.after`."""
        if self._restores != self._arrivals.restores:
            self._forget(position)
        if not self._is_before(position):
            async with self._turn:
                # The sink that had the turn may have pushed out what this one wants.
                if not self._is_before(position):
                    return await self._read_with(position, limit)
        return await self._stream.after(position, limit)

    async def _read_with(self, position: int, limit: int) -> list[Event]:
        found = self._kept(position, limit)
        if not found or (len(found) < limit and self._arrivals.knows_more_after(self._through)):
            read = await self._read_on(position, limit)
            # What does not follow is not kept: whoever asks has to find the gap.
            found = self._kept(position, limit) or read
            del self._events[: -self._most]
        return found

    def forget(self) -> None:
        """Ask PostgreSQL for all that comes: what was read may be what it no longer has."""
        self._forget(self._through)

    def _forget(self, position: int) -> None:
        self._restores = self._arrivals.restores
        self._events.clear()
        self._through = position

    def _is_before(self, position: int) -> bool:
        """Whether what follows this position is no longer kept."""
        return position < self._through - len(self._events)

    def _kept(self, position: int, limit: int) -> list[Event]:
        skipped = position - (self._through - len(self._events))
        if skipped < 0:
            return []
        return self._events[skipped : skipped + limit]

    async def _read_on(self, position: int, limit: int) -> list[Event]:
        """Read behind the last one. Who asks for more than that has read for itself: then it begins there."""
        if position > self._through:
            self._forget(position)
        events = await self._stream.after(self._through, limit)
        for event in events:
            if event.position != self._through + 1:
                break
            self._events.append(event)
            self._through += 1
        return events
