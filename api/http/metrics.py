"""Gauges over the whole ledger and over Temporal's list of transfers that need attention, read at each scrape.

While PostgreSQL or Temporal does not answer in time, its gauges are missing: an old figure would pass for a new one.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import Gauge

from api.temporal import TemporalGateway, TemporalUnavailable
from database.connections import Unavailable
from staff.postgres.stats import LedgerStats

# The collector waits for the whole answer: a scrape without these gauges is better than none.
LIMIT_SECONDS = 1

# At most one call to Temporal in this time, however many collectors scrape, also when the call fails.
KEPT_SECONDS = 10

NOT_FINAL = Gauge("remit_transfers_not_final", "Transfers that are not final, by state", ["state"])
LONGEST = Gauge(
    "remit_transfers_not_final_longest_seconds",
    "Seconds since the transfer that waits longest in this state last changed",
    ["state"],
)
NEEDING_ATTENTION = Gauge(
    "remit_transfers_needing_attention", "Transfers that Temporal marks as needing attention", ["task_queue"]
)


@dataclass
class AttentionCount:
    """How many transfers need attention, by Temporal's recent answer; None: it gave none."""

    temporal: TemporalGateway
    clock: Callable[[], float] = time.monotonic
    _found: int | None = None
    _until: float | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> int | None:
        """One call to Temporal serves all scrapes within `KEPT_SECONDS`. A missing answer is kept as well."""
        async with self._turn:
            if self._until is None or self.clock() >= self._until:
                try:
                    self._found = await self.temporal.count_needing_attention(LIMIT_SECONDS)
                except TemporalUnavailable:
                    self._found = None
                self._until = self.clock() + KEPT_SECONDS
            return self._found


async def read_gauges(stats: LedgerStats, attention: AttentionCount) -> None:
    """Set the gauges to their present values, or clear them, in about `LIMIT_SECONDS` at most."""
    await asyncio.gather(_read_ledger(stats), _read_attention(attention))


async def _read_ledger(stats: LedgerStats) -> None:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            found = await stats.waiting()
    except (Unavailable, TimeoutError):
        NOT_FINAL.clear()
        LONGEST.clear()
        return
    for waiting in found:
        NOT_FINAL.labels(waiting.state).set(waiting.transfers)
        LONGEST.labels(waiting.state).set(waiting.longest_seconds)


async def _read_attention(attention: AttentionCount) -> None:
    count = await attention.read()
    if count is None:
        NEEDING_ATTENTION.clear()
    else:
        NEEDING_ATTENTION.labels(attention.temporal.task_queue).set(count)
