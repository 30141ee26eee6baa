"""Somebody else's transaction that holds a row: what a step waits for until its lock is gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

HOLD = {
    "account": "SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE",
    "transfer": "SELECT 1 FROM transfers WHERE id = $1 FOR UPDATE",
}


@asynccontextmanager
async def held(database_url: str, what: str, row_id: str) -> AsyncIterator[None]:
    """Keep every step from this row, as its owner, whose transactions PostgreSQL does not end."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            assert await connection.fetchval(HOLD[what], row_id) == 1
            yield
    finally:
        await connection.close()
