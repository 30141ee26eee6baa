"""Waiting for an account outside of PostgreSQL.

A step that waits for a row lock holds a connection all the while, so one account that is held, or paid by everybody,
could take every connection of a process. Steps on one account therefore queue here, and only the first one holds a
connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from database.connections import Unavailable
from ledger.ids import SYSTEM_ACCOUNTS, AccountId

# One step at a time: the next one starts from the row that the one before it wrote, and need not read (`row_cache.py`).
AT_ONCE = 1

# After this the step is in doubt and is repeated. Waiting longer would exceed the activity's own timeout.
PATIENCE_SECONDS = 3

# The causes of how many accounts are kept. Beyond that, the oldest is dropped.
MOST_CAUSES = 1_000


@dataclass
class _Queue:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0


class AccountQueues:
    """One queue for each account that steps of this process need now, and why the last step on it got no answer."""

    def __init__(self) -> None:
        self._queues: dict[AccountId, _Queue] = {}
        self._causes: dict[AccountId, str] = {}

    @asynccontextmanager
    async def turn(self, account_id: AccountId) -> AsyncIterator[None]:
        """Hold the account's turn for the block. `world` has no queue.

        Raises `Unavailable` when the turn does not come in time, with the error of the step that last failed on this
        account: the cause, and not only the number of waiting steps.
        """
        if account_id in SYSTEM_ACCOUNTS:
            yield
            return
        queue = self._queues.setdefault(account_id, _Queue())
        queue.waiting += 1
        try:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await queue.turns.acquire()
            except TimeoutError as error:
                cause = self._causes.get(account_id, "The first step in the queue has no answer yet.")
                raise Unavailable(f"{cause} ({queue.waiting} steps of this process wait for {account_id}.)") from error
            try:
                yield
            except Unavailable as error:
                self._keep_cause(account_id, str(error))
                raise
            else:
                self._causes.pop(account_id, None)
            finally:
                queue.turns.release()
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[account_id]

    def _keep_cause(self, account_id: AccountId, cause: str) -> None:
        self._causes.pop(account_id, None)
        self._causes[account_id] = cause
        if len(self._causes) > MOST_CAUSES:
            del self._causes[next(iter(self._causes))]
