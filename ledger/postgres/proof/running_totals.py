"""Counts what is settled into the running totals, so that nobody has to add up all postings again."""

from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, Unavailable

if TYPE_CHECKING:
    from database.connections import Connection

# One call counts about as many transfers as PostgreSQL adds up in a quarter of a second.
_MOST_TRANSFERS = 50_000

_SETTLE = "SELECT settle_totals($1)"


async def settle_totals(database: Database) -> None:
    """Count all that has settled since the last time. Safe to run in every process: one counts, the others skip.

    Raises `Unavailable` where PostgreSQL gave no answer or refused, as with an older schema. What is not counted is
    added up whenever it is asked for.
    """
    is_behind = True
    while is_behind:
        try:
            async with database.connection() as connection:
                is_behind = await settle_once(connection)
        except asyncpg.PostgresError as error:
            raise Unavailable(f"PostgreSQL refuses to count: {error}") from error


async def settle_once(connection: "Connection", *, within_seconds: int | None = None) -> bool:
    """Count the next part. Whether more has settled. Waits as long as the pool does, or `within_seconds`."""
    return bool(await connection.fetchval(_SETTLE, _MOST_TRANSFERS, timeout=within_seconds))
