"""A network that falls silent: a TCP proxy whose connections stay open and acknowledged, and carry nothing any more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


class Network:
    """Forwards connections to one server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._carries = True
        self._connections: list[_Connection] = []
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many were made so far."""
        return len(self._connections)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def fall_silent(self) -> None:
        """Every connection is dead from now on, and so is each new one. Nobody is told."""
        self._carries = False
        self.kill_connections()

    def kill_connections(self) -> None:
        """The connections of today are dead from now on. New ones work."""
        for connection in self._connections:
            connection.carries = False

    def close_connections(self) -> None:
        """The connections of today end, and both sides are told."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def come_back(self) -> None:
        """New connections work. Those that died stay dead."""
        self._carries = True

    async def forward(self, client: "_End", server: "_End") -> None:
        connection = _Connection((client[1], server[1]), carries=self._carries)
        self._connections.append(connection)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(connection.carry(client, server))
                ways.create_task(connection.carry(server, client))
        finally:
            connection.close()

    async def close(self) -> None:
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def keep(self, task: "asyncio.Task[None]") -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    def __init__(self, writers: Sequence[asyncio.StreamWriter], *, carries: bool) -> None:
        self.carries = carries
        self._writers = writers

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    async def carry(self, source: _End, target: _End) -> None:
        """Carry bytes one way. A dead connection swallows them, its end included, so that neither side notices."""
        with suppress(ConnectionError):
            while data := await source[0].read(65_536):
                if self.carries:
                    target[1].write(data)
                    await target[1].drain()
        if self.carries:
            target[1].close()


@asynccontextmanager
async def network_to(port: int, host: str = "127.0.0.1") -> AsyncIterator[Network]:
    """A network between this process and a server on this machine."""
    found = Network(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        found.keep(task)
        with suppress(asyncio.CancelledError):  # the test is over
            await found.forward((reader, writer), await asyncio.open_connection(host, port))

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        listener.close()
        await found.close()
