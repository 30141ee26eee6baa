"""Who hashes a password next. Clients take turns, so many requests of one delay the others by one hash each."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.http.problems import Problem

# More of one client are told to come again. Where more wait in all, it is the last of the client with the most.
WAITING_PER_CLIENT = 20
WAITING = 1_000

# Nobody waits longer for a turn: beside much other work a hash takes seconds, and then 60 in a queue take a minute.
WAITING_SECONDS = 2.5


class HashQueue:
    """At most `at_once` turns at a time."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[str, deque[asyncio.Future[bool]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it for the block.

        Raises the problem `too_busy` where too many wait: at once, later to make room for a client with fewer, or
        after `WAITING_SECONDS`.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait(client)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, client: str) -> None:
        own = len(self._waiting.get(client, ()))
        if own >= WAITING_PER_CLIENT or (self.waiting >= WAITING and not self._make_room(own)):
            raise Problem("too_busy")
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[bool] = loop.create_future()
        self._waiting.setdefault(client, deque()).append(mine)
        limit = loop.call_later(WAITING_SECONDS, self._send_away, client, mine)
        try:
            has_turn = await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                if mine.result():
                    self._pass_on()  # the turn came together with the cancellation
            else:
                self._leave(client, mine)
            raise
        finally:
            limit.cancel()
        if not has_turn:
            raise Problem("too_busy")

    def _send_away(self, client: str, waiting: asyncio.Future[bool]) -> None:
        if not waiting.done():
            self._leave(client, waiting)
            waiting.set_result(False)

    def _leave(self, client: str, waiting: asyncio.Future[bool]) -> None:
        queue = self._waiting.get(client, deque())
        if waiting in queue:
            queue.remove(waiting)
            if not queue:
                del self._waiting[client]

    def _make_room(self, own: int) -> bool:
        """Send away the last of the longest queue, for a client that has so many waiting. False: none is longer."""
        longest = max(self._waiting, key=lambda client: len(self._waiting[client]))
        queue = self._waiting[longest]
        if len(queue) <= own + 1:
            return False
        last = queue.pop()
        if not last.done():
            last.set_result(False)
        return True

    def _pass_on(self) -> None:
        while self._waiting:
            client, queue = self._waiting.popitem(last=False)
            first = queue.popleft()
            if queue:
                self._waiting[client] = queue  # behind all others
            if not first.done():
                first.set_result(True)
                return
        self._free += 1
