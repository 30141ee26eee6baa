"""What is kept of webhooks: attempts and ended deliveries for 30 days, and nothing of an endpoint that was deleted."""

import asyncio
from typing import NoReturn

import asyncpg
import structlog

from database.connections import Database, Unavailable
from webhooks.postgres.held import give_up_long_held

log = structlog.get_logger()

EVERY_SECONDS = 3600

# Months that are ready before they begin. Without one, attempts go into the default partition.
MONTHS_AHEAD = 2

# So many rows are deleted in one statement.
BATCH = 1000

_KEEP_MONTHS = "SELECT keep_attempt_months($1)"
_FORGET_ENDED = """
    DELETE FROM deliveries WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM deliveries WHERE ended_at < statement_timestamp() - interval '30 days' LIMIT $1))
"""
_FORGET_DELETED = """
    DELETE FROM deliveries WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
        WHERE e.deleted_at < statement_timestamp() - interval '1 hour' LIMIT $1))
"""
_FORGET_QUEUES = """
    DELETE FROM delivery_queues WHERE ctid = ANY (ARRAY(
        SELECT q.ctid FROM delivery_queues q JOIN webhook_endpoints e ON e.id = q.endpoint_id
        WHERE e.deleted_at < statement_timestamp() - interval '1 hour' LIMIT $1))
"""


async def forget_old(database: Database) -> None:
    """Make the next months, and forget what is old, in short statements. Safe to run in every process.

    Raises `Unavailable` where PostgreSQL gave no answer or refused, as while somebody reads an old month.
    """
    try:
        async with database.connection() as connection:
            await connection.fetchval(_KEEP_MONTHS, MONTHS_AHEAD)
            for statement in (_FORGET_ENDED, _FORGET_DELETED, _FORGET_QUEUES):
                while await connection.execute(statement, BATCH) == f"DELETE {BATCH}":
                    pass
    except asyncpg.PostgresError as error:
        raise Unavailable(f"PostgreSQL refuses to forget old attempts: {error}") from error


async def keep_forgetting(database: Database) -> NoReturn:
    """Give up what was held for too long and forget what is old, now and every hour."""
    while True:
        try:
            if held := await give_up_long_held(database):
                log.warning("events of disabled webhook endpoints became dead letters", deliveries=held)
            await forget_old(database)
        except Unavailable as error:
            log.warning("old attempts of webhooks were not forgotten", error=" ".join(str(error).split()))
        await asyncio.sleep(EVERY_SECONDS)
