"""Gauges over the whole ledger, read at each scrape. While PostgreSQL does not answer at once, they are missing."""

import asyncio

from prometheus_client import Gauge

from ledger.postgres.database import Unavailable
from ledger.postgres.oversight import Oversight

# A collector waits for the whole answer: better a scrape without these than no scrape.
LIMIT_SECONDS = 1

NOT_FINAL = Gauge("remit_transfers_not_final", "Transfers that are not final, by state", ["state"])
LONGEST = Gauge(
    "remit_transfers_not_final_longest_seconds",
    "For how long the transfer that waits longest in this state has not moved",
    ["state"],
)


async def read_gauges(oversight: Oversight) -> None:
    """Set the gauges to what the ledger says now, or clear them: an old figure would pass for a new one."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            found = await oversight.waiting()
    except (Unavailable, TimeoutError):
        NOT_FINAL.clear()
        LONGEST.clear()
        return
    for waiting in found:
        NOT_FINAL.labels(waiting.state).set(waiting.transfers)
        LONGEST.labels(waiting.state).set(waiting.longest_seconds)
