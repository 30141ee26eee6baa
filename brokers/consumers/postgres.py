"""What a consumer has done, in its own PostgreSQL: an event's effect and its mark commit together, or neither does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from database.connections import Unavailable
from events.dead_letter import line_of

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

log = structlog.get_logger()

RECONNECT_SECONDS = 1
CONNECT_SECONDS = 5
MOST_CONNECTIONS = 4

# An event's effect: writes on the connection, which is in a transaction, and nothing else anywhere.
Effect = Callable[["Connection", Mapping[str, Any]], Awaitable[None]]

# As Remit's own database has it. A consumer with a database of its own has the same table there.
TABLE = """
    CREATE TABLE IF NOT EXISTS processed_events (
        consumer     text NOT NULL,
        event_id     text NOT NULL,
        processed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (consumer, event_id)
    )
"""

# Of two at once, the second waits for the end of the first one's transaction.
_MARK = "INSERT INTO processed_events (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"

# Perhaps the database is away and the event not wrong: then the consumer waits, and the event loses none of its tries.
AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)


async def processed_events(connection: "Connection", consumer: str, event_id: str) -> bool:
    """Mark the event as processed by this consumer, in the transaction of its effect. False: it has been, skip it."""
    return await connection.fetchval(_MARK, consumer, event_id) is not None


async def apply_once(pool: "Pool", consumer: str, event: Mapping[str, Any], effect: Effect) -> bool:
    """Give the event its effect, once, however often it comes. Whether this call did.

    Raises what the effect raises, and then nothing was written.
    """
    async with pool.acquire() as connection, connection.transaction():
        if not await processed_events(connection, consumer, event["id"]):
            return False
        await effect(connection, event)
        return True


async def apply_when_possible(pool: "Pool", consumer: str, event: Mapping[str, Any], effect: Effect) -> str | None:
    """The same, and wait while the database is away. None: the event has had its effect. Else: why it had none."""
    is_away = False
    while True:
        try:
            if not await apply_once(pool, consumer, event, effect):
                log.info("an event came again, and has had its effect", consumer=consumer, event_id=event["id"])
        except Exception as error:  # noqa: BLE001 - an effect may raise anything, and then the event is tried again
            if not isinstance(error, AWAY) or await _answers(pool):
                return line_of(f"{type(error).__name__}: {error}")
            if not is_away:
                log.warning("the consumer waits for its database", consumer=consumer, error=str(error))
            is_away = True
            await asyncio.sleep(RECONNECT_SECONDS)
        else:
            if is_away:
                log.info("the consumer goes on", consumer=consumer)
            return None


async def _answers(pool: "Pool") -> bool:
    try:
        return bool(await pool.fetchval("SELECT true", timeout=RECONNECT_SECONDS))
    except AWAY:
        return False


async def make_table(pool: "Pool") -> None:
    """Make the table of marks where it is missing. Whoever consumes in Remit's own database has it."""
    await pool.execute(TABLE)


@asynccontextmanager
async def consumer_pool(url: str, tables: str) -> AsyncIterator["Pool"]:
    """A consumer's connections to its database, with the table of marks and the tables of its effect made.

    Raises `Unavailable` where the database gives no answer at the start, or refuses.
    """
    async with asyncpg.create_pool(url, min_size=0, max_size=MOST_CONNECTIONS, timeout=CONNECT_SECONDS) as pool:
        try:
            await make_table(pool)
            await pool.execute(tables)
        except (*AWAY, asyncpg.PostgresError) as error:
            raise Unavailable(f"The consumer's database cannot be used: {' '.join(f'{error}'.split())}") from error
        yield pool
