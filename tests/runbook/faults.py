"""What goes wrong, made to happen from a session of our own: locked rows and tables, and transfers that wait for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from tests.api.people import Person, reaches
from tests.waiting import until

ACCOUNT = "SELECT FROM accounts WHERE id = $1 FOR UPDATE"
TRANSFER = "SELECT FROM transfers WHERE id = $1 FOR UPDATE"
MESSAGES = "LOCK TABLE messages IN SHARE MODE"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_WAITING = "SELECT array_agg(pid) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"


class Held:
    """A lock that nobody else gets until it is released. Remit's own limits do not end this session."""

    def __init__(self, connection: Connection, watch: Connection) -> None:
        self._connection, self._watch = connection, watch
        self._pid = connection.get_server_pid()

    async def release(self) -> None:
        await self._connection.close()

    async def is_waited_for_anew(self) -> None:
        """Return when a step has just begun to wait for it, with most of its two seconds left."""
        await self.is_waited_for_by_nobody()
        await self.is_waited_for()

    async def is_waited_for(self) -> None:
        await until(self._waiting, "somebody waits for the lock")

    async def is_waited_for_by_nobody(self) -> None:
        async def alone() -> bool:
            return not await self._waiting()

        await until(alone, "nobody waits for the lock")

    async def _waiting(self) -> bool:
        return bool(await self._watch.fetchval(_WAITING, self._pid))


@asynccontextmanager
async def held(database_url: str, statement: str, *arguments: str) -> AsyncIterator[Held]:
    connection, watch = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        await connection.execute("BEGIN")
        await connection.execute(statement, *arguments)
        yield Held(connection, watch)
    finally:
        await connection.close()
        await watch.close()


async def sent(payer: Person, payee: Person, amount: int, state: str) -> dict[str, Any]:
    """A transfer that got as far as this state, as its payer sees it."""
    answer = await payer.pay(payee, amount, prefer="wait=0")
    assert answer.status_code in (201, 202), answer.text
    transfer = dict(answer.json())
    await reaches(payer, transfer["id"], state)
    return transfer
