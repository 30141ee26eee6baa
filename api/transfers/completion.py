"""Waiting for a transfer's final state.

The row in PostgreSQL is the truth. A worker in this process hands over the row that it has committed; without that,
the row is read again after growing pauses.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ledger.ids import TransferId
from ledger.transfers import Transfer

# The pauses between reads of the row, in seconds. A worker in another process ends transfers without an announcement
# here, so the reads start early and become rare. A worker in this process announces each end, so only the transfers
# that other workers run need the reads.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5

# All waiting requests together read at most about so many rows a second: however many wait, others are served.
READS_A_SECOND = 200


class Watch:
    """A request that waits for the next announcement, and the committed transfer if the worker handed it over."""

    def __init__(self) -> None:
        self.announced = asyncio.Event()
        self.transfer: Transfer | None = None

    def forget(self) -> None:
        """Wait for the next announcement. Call it before reading the row: one that comes meanwhile counts."""
        self.announced.clear()
        self.transfer = None


class Completions:
    """Wakes the requests that wait for a transfer once a worker in the same process has ended it."""

    def __init__(self, *, worker_is_here: bool) -> None:
        self._first_pause = LONGEST_PAUSE if worker_is_here else FIRST_PAUSE
        self._waiting: dict[TransferId, set[Watch]] = defaultdict(set)
        self._closing = False

    def announce(self, transfer_id: TransferId, transfer: Transfer | None) -> None:
        """A final state of this transfer was committed. `transfer` is the committed row, or None if it is not known."""
        for watch in self._waiting.get(transfer_id, ()):
            watch.transfer = transfer
            watch.announced.set()

    def close(self) -> None:
        """The process stops: every waiting request gets the transfer's present state, and new ones do not wait."""
        self._closing = True
        for watches in self._waiting.values():
            for watch in watches:
                watch.announced.set()

    async def final_within(
        self,
        seconds: float,
        watch: Watch,
        check: Callable[[Transfer], Transfer | None],
        read: Callable[[], Awaitable[Transfer | None]],
    ) -> Transfer | None:
        """The transfer, handed over or read: final, or in its present state when the time is over.

        None if its row does not exist yet. `check` returns the transfer if a handed-over row is the one that the caller
        waits for. When the process stops, the row is read one last time.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        pause = self._first_pause
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if left > 0:
                try:
                    async with asyncio.timeout(min(pause, left)):
                        await watch.announced.wait()
                except TimeoutError:
                    pause = min(pause * 2, max(LONGEST_PAUSE, len(self._waiting) / READS_A_SECOND))
            if watch.transfer is not None and (transfer := check(watch.transfer)):
                return transfer
            watch.forget()  # what was announced until now was about an earlier attempt
            transfer = await read()
            if left <= 0 or self._closing or (transfer is not None and transfer.state.is_final):
                return transfer

    @asynccontextmanager
    async def watch(self, transfer_id: TransferId) -> AsyncIterator[Watch]:
        """A watch that the next announcement wakes. Enter it before the transfer can start."""
        watch = Watch()
        if self._closing:
            watch.announced.set()
        self._waiting[transfer_id].add(watch)
        try:
            yield watch
        finally:
            self._waiting[transfer_id].discard(watch)
            if not self._waiting[transfer_id]:
                del self._waiting[transfer_id]
