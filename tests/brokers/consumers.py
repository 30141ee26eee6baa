"""Consumers for tests: an effect that can be seen, and events that it cannot have."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from database.connections import Database
from events.dead_letter import DeadLetter, LetterState
from events.postgres.dead_letters import DeadLetters, LetterSearch
from tests.waiting import until

Pool = Any

POISON = "poison"

# Ids that PostgreSQL has no room for: a zero character, half a character, and more than an index takes.
UNKEEPABLE_IDS = ("evt_\0", "evt_\ud800", "".join(map(chr, range(0x4E00, 0x4E00 + 3_000))))

# Subjects that make the text of a failure one that no header, or no column, takes.
UNTELLABLE = ("poison \ud800", "poison \0")


def event_named(id_: str, subject: str = "whe_0") -> bytes:
    return json.dumps({"id": id_, "type": "account.frozen", "subject": subject}).encode()


async def repeats_subject(connection: Any, event: Mapping[str, Any]) -> None:
    """The effect of `note`, with a failure that says what it failed for."""
    if event["subject"].startswith(POISON):
        raise ValueError(event["subject"])
    await note(connection, event)


async def note(connection: Any, event: Mapping[str, Any]) -> None:
    """The effect: a row. A poisonous event never has it."""
    await connection.execute("INSERT INTO effects VALUES ($1, $2)", event["id"], event["subject"])
    if event["subject"].startswith(POISON):
        raise ValueError("poison")


async def effects(pool: Pool) -> list[str]:
    """The subjects that had their effect, each as often as it had it."""
    return [row["subject"] for row in await pool.fetch("SELECT subject FROM effects ORDER BY subject")]


async def had_effect(pool: Pool, *subjects: str, seconds: float = 30) -> None:
    """Return once exactly these have had their effect."""

    async def is_done() -> bool:
        with suppress(asyncpg.PostgresError, OSError):
            return await effects(pool) == sorted(subjects)
        return False

    await until(is_done, f"the effects of {', '.join(subjects)}", seconds)


async def letters(database: Database, many: int, source: str) -> list[DeadLetter]:
    """The dead letters of this source, once there are so many."""

    async def are_there() -> bool:
        return (await DeadLetters(database).counts()).get(source, 0) >= many

    await until(are_there, f"{many} dead letters", 30)
    page = await DeadLetters(database).find_all(LetterSearch(state=LetterState.DEAD, source=source), 50)
    return page.items


@asynccontextmanager
async def tasks(*works: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """These run until the block ends."""
    running = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in running:
            if task.done():
                task.result()  # it has failed, and says more than whoever waits for its effect
            task.cancel()
        await asyncio.wait(running, timeout=10)
