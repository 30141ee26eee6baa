"""Waiting for a transfer's final state.

The row in PostgreSQL is the truth. A worker in this process hands over the row that it has committed; everything else
only says when to look.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ledger.ids import TransferId
from ledger.transfers import Transfer

# Between looks at the row. A worker in another process settles transfers without telling this one, so the looks start
# early and grow rare; one in this process tells, and looking is only for what it does not run.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5


class Watch:
    """One who waits: for the next announcement, and for the transfer as it was written, where that was handed over."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.transfer: Transfer | None = None

    def forget(self) -> None:
        """Wait for the next announcement."""
        self.told.clear()
        self.transfer = None


class Completions:
    """Wakes whoever waits for a transfer, when a worker in the same process has brought it to its end."""

    def __init__(self, *, worker_is_here: bool) -> None:
        self._first_pause = LONGEST_PAUSE if worker_is_here else FIRST_PAUSE
        self._waiting: dict[TransferId, set[Watch]] = defaultdict(set)
        self._closing = False

    def announce(self, transfer_id: TransferId, transfer: Transfer | None) -> None:
        """A final state of this transfer was committed: as this row, where it is known."""
        for watch in self._waiting.get(transfer_id, ()):
            watch.transfer = transfer
            watch.told.set()

    def close(self) -> None:
        """The process is asked to stop: whoever waits gets the transfer as it stands, and nobody waits any more."""
        self._closing = True
        for watches in self._waiting.values():
            for watch in watches:
                watch.told.set()

    async def final_within(
        self,
        seconds: float,
        watch: Watch,
        check: Callable[[Transfer], Transfer | None],
        read: Callable[[], Awaitable[Transfer | None]],
    ) -> Transfer | None:
        """The transfer, handed over or last read: final, or as it stands when the time is over.

        None: its row is not there yet. `check` is asked whether what was handed over is what the caller waits for. A
        process that stops looks once more, and that is the last time.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        pause = self._first_pause
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if left > 0:
                try:
                    async with asyncio.timeout(min(pause, left)):
                        await watch.told.wait()
                except TimeoutError:
                    pause = min(pause * 2, LONGEST_PAUSE)
            if watch.transfer is not None and (transfer := check(watch.transfer)):
                return transfer
            transfer = await read()
            if left <= 0 or self._closing or (transfer is not None and transfer.state.is_final):
                return transfer
            watch.forget()  # told of an earlier attempt

    @asynccontextmanager
    async def watch(self, transfer_id: TransferId) -> AsyncIterator[Watch]:
        """Told by the next announcement. Enter before the transfer may start."""
        watch = Watch()
        if self._closing:
            watch.told.set()
        self._waiting[transfer_id].add(watch)
        try:
            yield watch
        finally:
            self._waiting[transfer_id].discard(watch)
            if not self._waiting[transfer_id]:
                del self._waiting[transfer_id]
