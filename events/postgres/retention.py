"""The partitions of the outbox: one for each month, made ahead of it, and dropped as a whole when it is old."""

import asyncio
from functools import partial
from typing import NoReturn

import structlog

from database.connections import Database

log = structlog.get_logger()

# Months that are ready before they begin. Without one, events go into the default partition.
MONTHS_AHEAD = 3

PAUSE_SECONDS = 3600

_MAKE = "SELECT make_event_months($1)"
_DROP = "SELECT drop_event_month($1)"  # the oldest month; whether it did


async def keep_event_months(database: Database, days: int) -> NoReturn:
    """Every hour, make the next months and drop the old ones. Every worker may; it survives every error."""
    while True:
        for what, part in (
            ("making the next months", partial(_ask, database, _MAKE, MONTHS_AHEAD)),
            ("dropping old months", partial(drop_old_events, database, days)),
        ):
            try:
                await part()
            except Exception as error:  # noqa: BLE001 - nobody awaits this task: it would end unseen
                log.warning("the months of events have to wait", part=what, error=" ".join(f"{error!r}".split()))
        await asyncio.sleep(PAUSE_SECONDS)


async def drop_old_events(database: Database, days: int) -> None:
    """Drop the months that are older, all numbered, and passed by every sink.

    PostgreSQL keeps at least a week, whatever is asked for. It gives up where somebody reads an old month, and tries
    again with the next call. Safe to run in every process. Raises `Unavailable`.
    """
    while await _ask(database, _DROP, days):
        pass


async def _ask(database: Database, query: str, value: int) -> object:
    async with database.connection() as connection:
        answer: object = await connection.fetchval(query, value)
    return answer
