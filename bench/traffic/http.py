"""HTTP/1.1 connections that use as little CPU as possible: they stay open, and send one request at a time."""

import asyncio
from typing import cast

import httptools
import orjson

LIMIT_SECONDS = 30.0


class _HttpConnection(asyncio.BufferedProtocol):
    """Reads one answer at a time; httptools calls `on_body` and `on_message_complete`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._buffer = bytearray(64 * 1024)
        self._body: list[bytes] = []
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - an answer is small
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._parser.feed_data(memoryview(self._buffer)[:nbytes])

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.usable = self.usable and self._parser.should_keep_alive()
        answer = self._parser.get_status_code(), b"".join(self._body)
        self._body, self._parser = [], httptools.HttpResponseParser(self)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError(str(exc) or "closed by the server"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class Connections:
    """As many connections to one server as there are requests in flight, kept open until `close`."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: list[_HttpConnection] = []

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()

    async def ask(self, request: bytes) -> str:
        """Send a request. Returns the status, followed by the body's state if it has one: `201 completed`.

        Returns `no answer` after `LIMIT_SECONDS`, and `no connection` if the server cannot be reached.
        """
        connection: _HttpConnection | None = None
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                connection = await self._connection()
                status, body = await connection.ask(request)
        except TimeoutError:
            answer = "no answer"
        except OSError:
            answer = "no connection"
        else:
            self._idle.append(connection)
            return f"{status} {_state_in(body)}".rstrip()
        if connection is not None:
            connection.close()
        return answer

    async def _connection(self) -> _HttpConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        _, made = await asyncio.get_running_loop().create_connection(_HttpConnection, *self._address)
        return made


def _state_in(body: bytes) -> str:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("state", found.get("code", ""))) if isinstance(found, dict) else ""
