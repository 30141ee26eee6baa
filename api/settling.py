"""Waiting for a transfer's final state. The row in PostgreSQL is the truth; everything else only says when to look."""

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


class Settlements:
    """Wakes whoever waits for a transfer, when a worker in the same process has brought it to its end."""

    def __init__(self, *, worker_is_here: bool) -> None:
        self._first_pause = LONGEST_PAUSE if worker_is_here else FIRST_PAUSE
        self._waiting: dict[TransferId, set[asyncio.Event]] = defaultdict(set)
        self._closing = False

    def announce(self, transfer_id: TransferId) -> None:
        """A final state of this transfer was committed."""
        for event in self._waiting.get(transfer_id, ()):
            event.set()

    def close(self) -> None:
        """The process is asked to stop: whoever waits gets the transfer as it stands, and nobody waits any more."""
        self._closing = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def final_within(
        self, seconds: float, settled: asyncio.Event, read: Callable[[], Awaitable[Transfer | None]]
    ) -> Transfer | None:
        """The transfer as last read: final, or as it stands when the time is over. None: its row is not there yet.

        `settled` is what `watch` gave. It is also set when the process stops, so the one look after it is the last.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        pause = self._first_pause
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if left > 0:
                try:
                    async with asyncio.timeout(min(pause, left)):
                        await settled.wait()
                except TimeoutError:
                    pause = min(pause * 2, LONGEST_PAUSE)
            transfer = await read()
            if left <= 0 or settled.is_set() or (transfer is not None and transfer.state.is_final):
                return transfer

    @asynccontextmanager
    async def watch(self, transfer_id: TransferId) -> AsyncIterator[asyncio.Event]:
        """An event that is set by the next announcement. Enter before the transfer may start."""
        event = asyncio.Event()
        if self._closing:
            event.set()
        self._waiting[transfer_id].add(event)
        try:
            yield event
        finally:
            self._waiting[transfer_id].discard(event)
            if not self._waiting[transfer_id]:
                del self._waiting[transfer_id]
