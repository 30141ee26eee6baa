"""Whether this process can accept transfers: a recent answer of PostgreSQL and Temporal, however many ask for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from api.http.problems import Problem
from api.temporal import TemporalGateway
from api.temporal_connection import TemporalUnavailable
from database.connections import Database, DiskFull, NoSchema, Unavailable

log = structlog.get_logger()

# Both servers are asked at most once in this time, and more often while something is missing.
KEPT_SECONDS = 1.0
PROBLEM_KEPT_SECONDS = 0.2
# Whether there is space costs PostgreSQL more than an answer.
SPACE_KEPT_SECONDS = 5.0
# A connection may have ended with its server's restart, so the first failure is followed by one more try. A failure
# that took longer than this is none of that kind.
QUICK_SECONDS = 0.5


@dataclass
class Readiness:
    """The last answers, and when they were given."""

    database: Database
    temporal: TemporalGateway
    clock: Callable[[], float] = time.monotonic
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _problem: tuple[str, str | None] | None = None
    _until: float | None = None
    _has_space_until: float | None = None

    async def check(self) -> None:
        """Raise the problem that keeps transfers from being accepted, if there is one."""
        async with self._turn:
            if self._until is None or self.clock() >= self._until:
                self._problem = await self._find_problem()
                self._until = self.clock() + (PROBLEM_KEPT_SECONDS if self._problem else KEPT_SECONDS)
        if self._problem is not None:
            raise Problem(*self._problem)

    async def _find_problem(self) -> tuple[str, str | None] | None:
        database, temporal = await asyncio.gather(
            self._tried_twice(self._ask_database), self.temporal.ping(), return_exceptions=True
        )
        # The reason may name hosts: it goes to the log, not to the client.
        if isinstance(database, DiskFull):
            log.error("PostgreSQL's disk is full", error=str(database))
            return "disk_full", None
        if isinstance(database, Unavailable):
            log.warning("PostgreSQL does not answer", error=str(database))
            return "database_unavailable", str(database) if isinstance(database, NoSchema) else None
        if isinstance(temporal, TemporalUnavailable):
            log.warning("Temporal does not answer", error=str(temporal))
            return "temporal_unavailable", None
        for defect in (database, temporal):
            if defect is not None:
                raise defect
        return None

    async def _ask_database(self) -> None:
        await self.database.ping()
        if self._has_space_until is None or self.clock() >= self._has_space_until:
            self._has_space_until = None
            await self.database.check_space()
            self._has_space_until = self.clock() + SPACE_KEPT_SECONDS

    async def _tried_twice(self, ask: Callable[[], Awaitable[None]]) -> None:
        began = self.clock()
        try:
            await ask()
        except Unavailable as error:
            if isinstance(error, NoSchema | DiskFull) or self.clock() - began > QUICK_SECONDS:
                raise
            await ask()
