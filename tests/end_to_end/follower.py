"""A reader that follows the outbox by position while everything is killed, as a sink does; and what it counts."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import asyncpg

from tests.connections import Connection
from tests.waiting import until

# By other statements than the product's own: what is lost, missing or out of order in the whole outbox.
_LOST = """
    SELECT
        (SELECT count(*) FROM transfers t WHERE NOT EXISTS (
            SELECT FROM outbox_events e
            WHERE e.subject = t.id AND e.type = 'transfer.' || t.state AND e.position IS NOT NULL))
        + (SELECT count(*) FROM entries n WHERE NOT EXISTS (
            SELECT FROM outbox_events e
            WHERE e.account_id = n.account_id AND e.account_version = n.version AND e.subject = n.transfer_id
                AND e.position IS NOT NULL))
        + (SELECT count(*) FROM notifications n WHERE NOT EXISTS (
            SELECT FROM outbox_events e WHERE e.subject = n.id AND e.position IS NOT NULL))
"""
_GAPS = "SELECT (SELECT last FROM event_head) - count(DISTINCT position) FROM outbox_events"
_INVERSIONS = """
    SELECT count(*) FROM (
        SELECT account_version - lag(account_version) OVER (PARTITION BY account_id ORDER BY position) AS step
        FROM outbox_events WHERE account_version IS NOT NULL AND data -> 'entry' IS NOT NULL
    ) entries WHERE step <> 1
"""
_READ = "SELECT position, event_id FROM outbox_events WHERE position > $1 ORDER BY position LIMIT 500"
_ALL = "SELECT event_id FROM outbox_events WHERE position IS NOT NULL ORDER BY position"


@dataclass(frozen=True)
class Counted:
    """What must all be nothing; and how many events there were."""

    events: int
    lost: int
    gaps: int
    inversions: int
    missed_by_reader: int


@dataclass
class Follower:
    """Reads for as long as the block runs, and goes on where it was whenever PostgreSQL comes back."""

    url: str
    seen: list[str] = field(default_factory=list)
    holes: int = 0
    position: int = 0
    _tasks: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        following = asyncio.create_task(self._follow())

        async def stop() -> None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

        self._tasks.push_async_callback(stop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.aclose()

    async def _follow(self) -> None:
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                connection = await asyncpg.connect(self.url, timeout=5)
                try:
                    while True:
                        await self._read(connection)
                        await asyncio.sleep(0.01)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.05)

    async def _read(self, connection: Connection) -> None:
        rows = await connection.fetch(_READ, self.position, timeout=10)
        for row in rows:
            self.holes += row["position"] != self.position + 1
            self.position = row["position"]
            self.seen.append(row["event_id"])

    async def counted(self, seconds: float = 30) -> Counted:
        """What is wrong, once nothing is, or else when the time is over: what was just written is numbered soon."""
        connection = await asyncpg.connect(self.url)
        found: list[Counted] = []

        async def nothing_is() -> bool:
            every = [row["event_id"] for row in await connection.fetch(_ALL)]
            lost, gaps, inversions = [await connection.fetchval(query) for query in (_LOST, _GAPS, _INVERSIONS)]
            missed = self.holes + (self.seen[: len(every)] != every)
            found.append(Counted(len(every), lost, gaps, inversions, missed))
            return found[-1] == Counted(len(every), 0, 0, 0, 0)

        with suppress(AssertionError):
            await until(nothing_is, "nothing is wrong", seconds)
        await connection.close()
        return found[-1]
