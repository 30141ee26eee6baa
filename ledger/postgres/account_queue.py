"""Waiting for an account outside of PostgreSQL.

A step that waits for a row lock holds a connection all the while, so one account that is held, or paid by everybody,
could take every connection of a process. Steps on one account therefore wait in line here, and only the first one
holds a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from database.connections import Unavailable
from ledger.ids import SYSTEM_ACCOUNTS, AccountId

# The next one begins with what the one before it has written, and so need not read (see `seen.py`).
AT_ONCE = 1

# Then the step is in doubt, and comes again: its place in line is not worth a time limit further up.
PATIENCE_SECONDS = 3

# How many accounts' troubles are remembered; beyond, the oldest is forgotten.
TROUBLES = 1_000


@dataclass
class _Queue:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0


class AccountQueues:
    """One line for each account that steps of this process want just now, and why a line last did not move."""

    def __init__(self) -> None:
        self._queues: dict[AccountId, _Queue] = {}
        self._troubles: dict[AccountId, str] = {}

    @asynccontextmanager
    async def turn(self, account_id: AccountId) -> AsyncIterator[None]:
        """Hold one of the account's turns. `world` has no line.

        Raises `Unavailable` when the line does not move, with what the steps at its head last heard: the cause, and
        not only that others wait as well.
        """
        if account_id in SYSTEM_ACCOUNTS:
            yield
            return
        line = self._queues.setdefault(account_id, _Queue())
        line.waiting += 1
        try:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await line.turns.acquire()
            except TimeoutError as error:
                trouble = self._troubles.get(account_id, "The steps at the head of the line have no answer yet.")
                raise Unavailable(
                    f"{trouble} ({line.waiting} steps of this process are in line for {account_id}.)"
                ) from error
            try:
                yield
            except Unavailable as trouble:
                self._remember(account_id, str(trouble))
                raise
            else:
                self._troubles.pop(account_id, None)
            finally:
                line.turns.release()
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._queues[account_id]

    def _remember(self, account_id: AccountId, trouble: str) -> None:
        self._troubles.pop(account_id, None)
        self._troubles[account_id] = trouble
        if len(self._troubles) > TROUBLES:
            del self._troubles[next(iter(self._troubles))]
