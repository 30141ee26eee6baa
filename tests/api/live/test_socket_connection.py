"""What one client may take of the server of sockets: it is cut when it does not read, whoever it is."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from api.graphql import resolver_context
from api.graphql.resolver_context import GraphqlContext
from api.live import socket_connection
from api.live.socket_connection import ABORT, LimitedSocket
from api.services import Services
from devenv.processes.ports import free_port
from serve import http_server
from tests.waiting import until

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
FIN, PING, TEXT = 0x80, 0x9, 0x1
MEGABYTE = "x" * 2**20


def frame(first: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes([first, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


class Sockets:
    """An application that accepts each socket and sends what a test wants, and the connections of its server."""

    def __init__(self) -> None:
        self.sends: list[MutableMapping[str, Any]] = []
        self.connections: set[Any] = set()
        self.aborts: list[Callable[[], None]] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.aborts.append(scope["state"][ABORT])

        async def send_all() -> None:
            for message in self.sends:
                await send(message)

        sending = asyncio.create_task(send_all())
        while (await receive())["type"] != "websocket.disconnect":
            pass
        sending.cancel()

    @property
    def open(self) -> int:
        return sum(isinstance(one, LimitedSocket) for one in self.connections)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
        """One that reads nothing at all: what it gives sends bytes."""
        server = http_server(self, "127.0.0.1", port := free_port())
        self.connections = server.server_state.connections
        serving = asyncio.create_task(server.serve())
        loop = asyncio.get_running_loop()

        async def is_started() -> bool:
            return server.started

        async def is_accepted() -> bool:
            return bool(self.aborts)

        await until(is_started, "the server has started")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", port))
            await loop.sock_sendall(connection, HANDSHAKE)
            await until(is_accepted, "the socket is accepted")
            try:
                yield lambda data: loop.sock_sendall(connection, data)
            finally:
                for one in list(self.connections):
                    one.transport.abort()
                server.should_exit = True
                await serving

    async def all_gone(self) -> None:
        async def none_is_open() -> bool:
            return self.open == 0

        await until(none_is_open, "the socket is gone", seconds=5)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    monkeypatch.setattr(socket_connection, "CLOSE_SECONDS", 0.1)
    return Sockets()


async def test_a_client_that_does_not_read_what_it_is_sent_is_cut(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_connection, "READ_SECONDS", 0.1)
    sockets.sends = [{"type": "websocket.send", "text": MEGABYTE}] * 20
    async with sockets.client():
        await sockets.all_gone()


async def test_a_client_that_does_not_read_the_end_of_its_socket_is_cut(sockets: Sockets) -> None:
    sockets.sends = [{"type": "websocket.send", "text": MEGABYTE * 16}, {"type": "websocket.close", "code": 4403}]
    async with sockets.client() as send:
        del send
        assert sockets.open == 1
        (connection,) = sockets.connections
        connection.writable.set()  # the end need not wait for room, as with a little less to read
        await sockets.all_gone()


async def test_a_client_that_sends_pings_and_reads_nothing_takes_no_memory(sockets: Sockets) -> None:
    pings = frame(FIN | PING, b"x" * 125) * 1_000
    most = 0
    async with sockets.client() as send:
        (connection,) = sockets.connections
        with suppress(OSError):
            for _ in range(200):
                await send(pings)
                most = max(most, connection.transport.get_write_buffer_size())
                await asyncio.sleep(0)
        await sockets.all_gone()
    assert most <= 2 * socket_connection.MAX_UNREAD_BYTES


async def test_a_message_of_endless_empty_frames_is_refused(sockets: Sockets) -> None:
    async with sockets.client() as send:
        await send(frame(TEXT, b"") + frame(0, b"") * 300)
        await sockets.all_gone()


async def test_a_client_that_answers_no_ping_is_cut(sockets: Sockets) -> None:
    sockets.sends = [{"type": "websocket.send", "text": MEGABYTE * 16}]
    async with sockets.client():
        (connection,) = sockets.connections
        connection.keepalive_timeout()
        await sockets.all_gone()


async def test_a_socket_whose_sign_in_is_over_is_cut_where_its_client_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolver_context, "CLOSE_SECONDS", 0.01)
    cut: list[bool] = []

    async def never(message: object) -> None:
        if message == {"type": "websocket.accept", "subprotocol": None, "headers": []}:
            return
        await asyncio.Event().wait()

    async def connect() -> dict[str, str]:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "headers": [], "state": {ABORT: lambda: cut.append(True)}}
    opened = WebSocket(scope, connect, never)
    await opened.accept()
    async with asyncio.timeout(5):
        await GraphqlContext(cast("Services", None), socket=opened).close(4403, "over")
    assert cut == [True]
