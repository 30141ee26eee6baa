"""Takes snapshots of long accounts, so that their totals are read from the newest entries only.

They save time and prove nothing: without them every answer is the same. The steps that move money write none.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, Unavailable

if TYPE_CHECKING:
    from database.connections import Connection

# An account has a snapshot at every so many entries. Reading so many entries takes a few milliseconds.
SNAPSHOT_EVERY = 500

_TAKE = "SELECT take_snapshots($1, $2)"
_TAKE_DUE = "SELECT take_due_snapshots($1)"


async def take_due_snapshots(database: Database, every: int = SNAPSHOT_EVERY) -> None:
    """Take what is due for the accounts that moved money since the last look. Safe to run in every process.

    Raises `Unavailable` where PostgreSQL gave no answer or refused, as with an older schema. Totals are then read from
    more entries.
    """
    is_behind = True
    while is_behind:
        try:
            async with database.connection() as connection:
                is_behind = bool(await connection.fetchval(_TAKE_DUE, every))
        except asyncpg.PostgresError as error:
            raise Unavailable(f"PostgreSQL refuses to take snapshots: {error}") from error


async def take_snapshots(
    connection: "Connection", account_ids: Sequence[str], every: int = SNAPSHOT_EVERY, *, within_seconds: int
) -> None:
    """Take what is due for these accounts."""
    await connection.fetchval(_TAKE, account_ids, every, timeout=within_seconds)
