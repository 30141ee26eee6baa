"""Foreign transactions that hold locks on the books, and the sessions that wait for them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.waiting import until

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# The lock of an UPDATE: rows that only refer to this row can still be written.
_ACCOUNT = "SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE"
_TRANSFER = "SELECT FROM transfers WHERE id = $1 FOR NO KEY UPDATE"

# Writers wait; readers do not.
_TABLE = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"

_BLOCKED_BY = """
    SELECT pid FROM pg_stat_activity
    WHERE $1 = ANY (pg_blocking_pids(pid)) AND clock_timestamp() - query_start < make_interval(secs => $2)
"""

_STEP_WAITS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'remit-worker' AND wait_event_type = 'Lock'
"""


class Held:
    """A lock until its block ends, or until somebody ends its session. Remit's timeouts do not end it."""

    def __init__(self, connection: "Connection", watch: "Connection") -> None:
        self._connection = connection
        self._watch = watch
        self.pid = connection.get_server_pid()

    async def release(self) -> None:
        """Release the lock before the block ends."""
        await self._connection.close()

    async def is_waited_for(self, behind: int | None = None, *, for_less_than: float = 60) -> int:
        """Wait for a session that waits for this lock, or for the session `behind`; return its pid."""
        found: list[int] = []

        async def somebody_waits() -> bool:
            found[:] = await self._waiting(behind or self.pid, for_less_than)
            return bool(found)

        await until(somebody_waits, "somebody waits for the lock")
        return found[0]

    async def is_waited_for_by_nobody(self) -> None:
        async def nobody_waits() -> bool:
            return not await self._waiting(self.pid, 60)

        await until(nobody_waits, "nobody waits for the lock")

    async def is_waited_for_anew(self) -> None:
        """Return when a step has just started to wait, with most of its two seconds left."""
        await self.is_waited_for_by_nobody()
        await self.is_waited_for()

    async def _waiting(self, pid: int, for_less_than: float) -> list[int]:
        return [row["pid"] for row in await self._watch.fetch(_BLOCKED_BY, pid, for_less_than)]


def account_held(database_url: str, account_id: str) -> AbstractAsyncContextManager[Held]:
    """Lock an account's row: every step that needs it is without an answer."""
    return _held(database_url, _ACCOUNT, account_id)


def transfer_held(database_url: str, transfer_id: str) -> AbstractAsyncContextManager[Held]:
    """Lock a transfer's row: its steps are without an answer."""
    return _held(database_url, _TRANSFER, transfer_id)


def table_held(database_url: str, table: str) -> AbstractAsyncContextManager[Held]:
    """Lock a table against writes."""
    return _held(database_url, _TABLE.format(table))


@asynccontextmanager
async def _held(database_url: str, how: str, *arguments: str) -> AsyncIterator[Held]:
    watch = await asyncpg.connect(database_url)
    # Locking a whole table takes more than a program that reads and writes rows may.
    url = await _reports_url(watch, database_url) if arguments else database_url
    connection = await asyncpg.connect(url)
    try:
        await connection.transaction().start()
        await connection.execute(how, *arguments)
        yield Held(connection, watch)
    finally:
        await watch.close()
        connection.terminate()


async def _reports_url(owner: "Connection", database_url: str) -> str:
    """The login of a program that is not ours. It is no superuser, so people may end its sessions."""
    if not await owner.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reports')"):
        await owner.execute("CREATE ROLE reports LOGIN PASSWORD 'reports' IN ROLE remit_app")
    # The databases of the compose file let in nobody whom they do not name.
    await owner.execute(f"GRANT CONNECT ON DATABASE {urlsplit(database_url).path[1:]} TO reports")
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"reports:reports@{parts.hostname}:{parts.port}"))


async def a_step_waits(database_url: str) -> None:
    """Wait until a worker's step waits for the row that the test has locked."""

    async def waits() -> bool:
        connection = await asyncpg.connect(database_url)
        try:
            return bool(await connection.fetchval(_STEP_WAITS))
        finally:
            await connection.close()

    await until(waits, "a step waits for the row")
