"""The requests that wait to be recorded: in memory, bounded, and written behind the answers."""

import asyncio
from collections import deque
from typing import NoReturn

import structlog
from prometheus_client import Counter

from database.connections import Unavailable
from trail.postgres.requests import RequestTrail
from trail.request import ReceivedRequest

log = structlog.get_logger()

# Each waits with a body of 16 KB and headers of 24 KB at most, so all together take 80 MB at most.
MOST_WAITING = 2_000
AT_ONCE = 200
PAUSE_SECONDS = 1

DROPPED = Counter("remit_request_records_dropped_total", "Requests that were not recorded: too many waited")


class RequestQueue:
    """Nobody who makes a request waits for it. What does not fit is dropped and counted, in the next record, too."""

    def __init__(self, records: RequestTrail, most: int = MOST_WAITING) -> None:
        self._records = records
        self._most = most
        self._waiting: deque[ReceivedRequest] = deque()
        self._dropped = 0
        self._turn = asyncio.Lock()

    def put(self, received: ReceivedRequest) -> None:
        """Take a request, or drop it if too many wait."""
        if len(self._waiting) >= self._most:
            self._dropped += 1
            DROPPED.inc()
            return
        received.dropped_before, self._dropped = self._dropped, 0
        self._waiting.append(received)

    async def keep_writing(self) -> NoReturn:
        """Write what waits, once a second."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.write_all()
            except Unavailable as error:
                log.warning(
                    "requests wait to be recorded",
                    waiting=len(self._waiting),
                    error=" ".join(str(error).split()),
                )

    async def write_all(self) -> None:
        """Write all that wait now. Raises `Unavailable`; then they still wait."""
        async with self._turn:
            while self._waiting:
                part = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
                await self._records.write(part)
                for _ in part:
                    self._waiting.popleft()
