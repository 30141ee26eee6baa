"""How many requests one client may send in a window of time, counted together by all processes.

Each process counts in memory and adds what it counted to PostgreSQL: every second, after every tenth of a limit, and
with each request near the limit. So a plain request costs no query, and beside n processes at most n/10 of a limit more
than the limit is let through. While PostgreSQL gives no answer, each process counts alone.

Windows are fixed and begin at multiples of their length since 1970: all processes agree on them without a word.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import structlog

from database.connections import Unavailable

log = structlog.get_logger()

FLUSH_SECONDS = 1.0

# A process asks PostgreSQL after this share of a limit, and with each request once only this share is left.
SHARE = 10


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """At most `hits` requests of one subject in each window of `seconds`."""

    name: str
    hits: int
    seconds: int


@dataclass(frozen=True, slots=True)
class RateKey:
    """One subject under one policy in the window that began at this second since 1970."""

    policy: str
    subject: str
    began: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a policy for one subject, and the seconds until its next window."""

    policy: RatePolicy
    left: int
    reset_seconds: int
    taken: bool

    def headers(self) -> dict[str, str]:
        """As `RateLimit` and `RateLimit-Policy` say it (draft-ietf-httpapi-ratelimit-headers)."""
        name = self.policy.name
        return {
            "RateLimit": f'"{name}";r={self.left};t={self.reset_seconds}',
            "RateLimit-Policy": f'"{name}";q={self.policy.hits};w={self.policy.seconds}',
        }


class SharedCounts(Protocol):
    """The counts of all processes."""

    async def add(self, hits: dict[RateKey, int]) -> dict[RateKey, int]:
        """Add these hits. Returns the sum of all processes for each. Raises `Unavailable` without an answer."""
        ...

    async def forget(self, before: int) -> None:
        """Delete windows that began before this second since 1970."""
        ...


@dataclass
class _Count:
    """The hits that all processes are known to have had, and ours that they do not know of."""

    shared: int = 0
    unsent: int = 0


@dataclass
class RateLimits:
    """The counts of one process, and how they come together with the others'."""

    shared: SharedCounts
    general: RatePolicy
    strict: RatePolicy
    clock: Callable[[], float] = time.time
    _counts: dict[RateKey, _Count] = field(default_factory=dict)
    _forgotten: float = 0.0

    async def take(self, policy: RatePolicy, subject: str) -> Allowance:
        """Count one request, if the limit allows it. A refused one is not counted."""
        now = self.clock()
        began = int(now // policy.seconds) * policy.seconds
        key = RateKey(policy.name, subject, began)
        count = self._counts.setdefault(key, _Count())
        if count.shared + count.unsent < policy.hits:
            count.unsent += 1
            share = max(policy.hits // SHARE, 1)
            if count.unsent >= share or count.shared + count.unsent > policy.hits - share:
                await self._send({key: count})
            taken = count.shared + count.unsent <= policy.hits
        else:
            taken = False
        left = max(policy.hits - count.shared - count.unsent, 0)
        return Allowance(policy, left, math.ceil(began + policy.seconds - now), taken)

    async def keep_sharing(self) -> NoReturn:
        """Add to the others' counts what this process has counted, once a second."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._send({key: count for key, count in self._counts.items() if count.unsent})
            await self._forget()

    async def _send(self, counts: dict[RateKey, _Count]) -> None:
        if not counts:
            return
        sent = {key: count.unsent for key, count in counts.items()}
        for key, count in counts.items():
            # They count as shared while they are under way, so that nobody sends them twice.
            count.shared += sent[key]
            count.unsent -= sent[key]
        try:
            totals = await self.shared.add(sent)
        except Unavailable as error:
            log.warning("requests are counted by this process alone", error=" ".join(str(error).split()))
            return  # They stay in our own count, and the others never hear of them.
        for key, total in totals.items():
            counts[key].shared = max(counts[key].shared, total)

    async def _forget(self) -> None:
        """Drop windows that are over, here at once and in PostgreSQL now and then."""
        seconds = self._longest()
        now = self.clock()
        over = [key for key in self._counts if key.began + seconds <= now]
        for key in over:
            del self._counts[key]
        if now >= self._forgotten + seconds:
            self._forgotten = now
            try:
                await self.shared.forget(int(now) - 2 * seconds)
            except Unavailable as error:
                log.warning("old counts of requests were not deleted", error=" ".join(str(error).split()))

    def _longest(self) -> int:
        policies: Sequence[RatePolicy] = (self.general, self.strict)
        return max(policy.seconds for policy in policies)
