"""Waiting for an account outside of PostgreSQL.

A step that waits for a row lock holds a connection all the while, so one account that is held, or paid by everybody,
could take every connection of a process. Steps on one account therefore wait in line here, and only the first ones
hold a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ledger.ids import SYSTEM_ACCOUNTS, AccountId
from ledger.postgres.database import Unavailable

# The next one begins with what the one before it has written, and so need not read (see `seen.py`).
AT_ONCE = 1

# Then the step is in doubt, and comes again: its place in line is not worth a time limit further up.
PATIENCE_SECONDS = 3


@dataclass
class _Line:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0


class Lines:
    """One line for each account that steps of this process want just now."""

    def __init__(self) -> None:
        self._lines: dict[AccountId, _Line] = {}

    @asynccontextmanager
    async def turn(self, account_id: AccountId) -> AsyncIterator[None]:
        """Hold one of the account's turns. Raises `Unavailable` when the line does not move. `world` has no line."""
        if account_id in SYSTEM_ACCOUNTS:
            yield
            return
        line = self._lines.setdefault(account_id, _Line())
        line.waiting += 1
        try:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await line.turns.acquire()
            except TimeoutError as error:
                raise Unavailable(f"{line.waiting} steps of this process are in line for {account_id}.") from error
            try:
                yield
            finally:
                line.turns.release()
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[account_id]
