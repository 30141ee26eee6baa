"""Gives each event its position after its commit, so that a reader by position misses none and meets none twice.

Any number of workers may run this: PostgreSQL lets one number at a time. What a crash leaves unnumbered, the next call
of any worker numbers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import structlog

from database.connections import Database

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

# How many events one transaction numbers: some ten milliseconds of work.
EVENTS_AT_ONCE = 500

# How long it waits for a wake while there is nothing to number, while another process numbers, and after an error.
IDLE_MILLISECONDS = 100
TURN_MILLISECONDS = 50
RETRY_MILLISECONDS = 1_000

# The least time from one transaction to the next after few events, and after more: under load each numbers more of
# them, and fewer transactions leave more of the machine to transfers.
BREATH_MILLISECONDS = 50
LOADED_BREATH_MILLISECONDS = 200
LOADED_FROM_EVENTS = 20

_NUMBER = "SELECT numbered, through, others_do FROM number_events($1)"

_OLDEST = """
    SELECT coalesce(ceil(extract(epoch FROM clock_timestamp() - min(first.occurred_at))), 0)::bigint
    FROM (SELECT occurred_at FROM outbox_events WHERE position IS NULL ORDER BY id LIMIT 1) first
"""


@dataclass(frozen=True, slots=True)
class Numbered:
    """How many events a call has numbered, and the last position if any.

    `others_do`: there are more, and another process numbers now.
    """

    events: int
    through: int | None
    others_do: bool


async def number_events(connection: "Connection", most: int = EVENTS_AT_ONCE) -> Numbered:
    """Number what has committed, at most so much. Outside of a transaction it commits by itself; safe to repeat.

    Whoever listens to `remit_events` is told the last position once, after the commit.
    """
    row = await connection.fetchrow(_NUMBER, most)
    assert row is not None
    return Numbered(row["numbered"], row["through"], row["others_do"])


async def number_all(database: Database) -> bool:
    """Number all that has committed. False: another process numbers. Raises `Unavailable`."""
    return not (await _number_all(database)).others_do


async def _number_all(database: Database) -> Numbered:
    """What the last transaction did."""
    async with database.connection() as connection:
        while (batch := await number_events(connection)).events == EVENTS_AT_ONCE:
            pass
    return batch


def nobody_listens(_: int) -> None:
    """Tell nobody of a position."""


class Sequencer:
    """Numbers for ever. `wake` makes it look at once. `announce` is told the last position after each commit."""

    def __init__(
        self,
        database: Database,
        announce: Callable[[int], None] = nobody_listens,
        *,
        idle_milliseconds: int = IDLE_MILLISECONDS,
    ) -> None:
        self._database = database
        self._announce = announce
        self._idle_milliseconds = idle_milliseconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that something may have been committed. Never waits."""
        self._woken.set()

    async def keep_numbering(self) -> NoReturn:
        """Number until it is cancelled. It survives every error, and logs when it stops and when it goes on."""
        is_failing = False
        while True:
            self._woken.clear()
            try:
                last = await _number_all(self._database)
            except Exception as error:  # noqa: BLE001 - nobody awaits this task: it would end unseen
                if not is_failing:
                    log.warning("events are not numbered for now", error=" ".join(f"{error!r}".split()))
                is_failing = True
                await asyncio.sleep(RETRY_MILLISECONDS / 1_000)
                continue
            if is_failing:
                log.info("events are numbered again")
                is_failing = False
            if last.events and last.through is not None:
                self._announce(last.through)
            if last.others_do:
                await asyncio.sleep(TURN_MILLISECONDS / 1_000)
            elif last.events:
                is_loaded = last.events >= LOADED_FROM_EVENTS
                await asyncio.sleep((LOADED_BREATH_MILLISECONDS if is_loaded else BREATH_MILLISECONDS) / 1_000)
            else:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._idle_milliseconds / 1_000):
                await self._woken.wait()
        except TimeoutError:
            return


class UnnumberedReads:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def longest_seconds(self) -> int:
        """The age of the oldest event that waits for its position, rounded up; 0: none waits.

        It is a fraction of a second: what is older waits for a worker.
        """
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_OLDEST))
