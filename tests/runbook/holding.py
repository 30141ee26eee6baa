"""Transactions of somebody else's that are at the books for long, and who waits for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from tests.waiting import until

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_HOLD_ACCOUNT = "SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE"

# Writers wait; readers do not.
_HOLD_TABLE = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"

_BLOCKED_BY = """
    SELECT pid FROM pg_stat_activity
    WHERE $1 = ANY (pg_blocking_pids(pid)) AND clock_timestamp() - query_start < make_interval(secs => $2)
"""


class Held:
    """What a connection holds until its block ends, or until somebody ends it with `pg_terminate_backend`."""

    def __init__(self, connection: "Connection", watch: "Connection") -> None:
        self._connection = connection
        self._watch = watch

    @property
    def pid(self) -> int:
        """Of the session that holds it."""
        return self._connection.get_server_pid()

    async def somebody_waits(self, behind: int | None = None, *, for_less_than: float = 60) -> int:
        """The session that waits for this one, or for the one `behind` whom it stands."""
        found: list[int] = []

        async def waits() -> bool:
            rows = await self._watch.fetch(_BLOCKED_BY, behind or self.pid, for_less_than)
            found[:] = [row["pid"] for row in rows]
            return bool(found)

        await until(waits, "somebody waits for the lock")
        return found[0]


@asynccontextmanager
async def account_held(database_url: str, account_id: str) -> AsyncIterator[Held]:
    """Hold an account's row: every step that needs it has no answer."""
    async with _held(database_url, _HOLD_ACCOUNT, account_id) as held:
        yield held


@asynccontextmanager
async def table_held(database_url: str, table: str) -> AsyncIterator[Held]:
    """Let nobody write to a table."""
    async with _held(database_url, _HOLD_TABLE.format(table)) as held:
        yield held


@asynccontextmanager
async def _held(database_url: str, how: str, *arguments: str) -> AsyncIterator[Held]:
    connection, watch = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(how, *arguments)
        yield Held(connection, watch)
    finally:
        await watch.close()
        connection.terminate()
