"""Wakes what waits for events in this process: by PostgreSQL's notification, and by looking each second."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

import asyncpg
import structlog

from database.connections import Database, Unavailable

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

# What the sequencer notifies, with the last position that it has given.
CHANNEL = "remit_events"

POLL_SECONDS = 1

_HEAD = "SELECT last FROM event_head"


class Arrivals:
    """The last position that this process knows of. `keep_listening` runs once; any number of tasks `wait`.

    `restores` counts how often PostgreSQL was found to have fewer events than before: whatever was read is in doubt.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = 0
        self._polled_at: timedelta | None = None
        self._woken = asyncio.Event()
        self._is_lost = False
        self.restores = 0

    async def keep_listening(self) -> NoReturn:
        """Listen for ever, with one connection. While PostgreSQL does not answer nobody is woken, and nothing ends."""
        while True:
            try:
                async with self._database.connection() as connection:
                    await connection.add_listener(CHANNEL, self._heard)
                    try:
                        await self._poll(connection)
                    finally:
                        with suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                            await connection.remove_listener(CHANNEL, self._heard)
            except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if not self._is_lost:
                    log.warning("nobody hears of new events", error=" ".join(str(error).split()))
                self._is_lost = True
            await asyncio.sleep(POLL_SECONDS)

    def knows_none_after(self, position: int) -> bool:
        """Whether PostgreSQL has just said that this is the last position. False: it may be, or not."""
        is_fresh = self._polled_at is not None and _now() < self._polled_at + timedelta(seconds=2 * POLL_SECONDS)
        return is_fresh and self._last == position

    def knows_more_after(self, position: int) -> bool:
        """Whether there is an event after this position for sure."""
        return self._last > position

    async def wait(self, position: int, seconds: int = POLL_SECONDS) -> None:
        """Return once there may be an event after this position, at the latest after so many seconds."""
        if self._last > position:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    def announce(self, position: int) -> None:
        """Wake all who wait, unless they know it already. The sequencer of this process says it before PostgreSQL."""
        if position <= self._last:
            return
        self._last = position
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()

    async def _poll(self, connection: "Connection") -> NoReturn:
        """Ask each second, too: a pooler may carry no notification, and a dead connection is noticed by it."""
        while True:
            known = self._last
            last = await connection.fetchval(_HEAD)
            self._polled_at = _now()
            if self._is_lost:
                log.info("new events are heard of again")
                self._is_lost = False
            if last < known:
                # Positions only ascend: another server answers, which has not got all of them.
                self._last = last
                self.restores += 1
            self.announce(last)
            await asyncio.sleep(POLL_SECONDS)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.announce(int(str(payload)))


def _now() -> timedelta:
    return timedelta(seconds=monotonic())
