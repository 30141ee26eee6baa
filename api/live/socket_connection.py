"""What one client may take of the WebSocket server: bytes that it does not read, and seconds.

uvicorn waits without an end until a client has read, also before it closes. So this is uvicorn's connection with the
limits added.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

# How long a client may take to read what waits in our buffer, and to take part in the end of its socket.
READ_SECONDS = 20.0
CLOSE_SECONDS = 2.0

# Of answers to pings, which wait for no reader.
MAX_UNREAD_BYTES = 256 * 1024

# Frames of one message. Their bytes have a limit, and empty ones take memory, too.
MAX_FRAGMENTS = 256

_TOO_BIG = 1009

# Where the application finds what cuts the connection: in the state of its scope.
ABORT = "abort"


class LimitedSocket(WebSocketsSansIOProtocol):
    """A socket that is cut when its client does not read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = CLOSE_SECONDS
        self._unread: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client has to read: whoever sends waits for it."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        _cancel(self._unread)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to cut."""
        super().connection_lost(exc)
        _cancel(self._unread)
        _cancel(self._ending)

    def data_received(self, data: bytes) -> None:
        """What the client sent may end the socket."""
        super().data_received(data)
        self._limit_end()

    def shutdown(self) -> None:
        """The process stops."""
        super().shutdown()
        self._limit_end()

    def keepalive_timeout(self) -> None:
        """Nobody is there to read the end."""
        super().keepalive_timeout()
        self.transport.abort()

    def handle_ping(self) -> None:
        """Answer it, unless the client reads no answers."""
        if self.transport.is_closing():
            self.conn.data_to_send()
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """A message may have so many frames."""
        if self.close_sent:
            return
        if len(self.frames) >= MAX_FRAGMENTS:
            self.frames = []
            self.conn.fail(_TOO_BIG, "too many fragments")
            self.handle_parser_exception()
        else:
            super().handle_cont(event)

    async def run_asgi(self) -> None:
        """The application may cut the connection when a polite end takes too long."""
        self.scope["state"][ABORT] = self.transport.abort
        await super().run_asgi()
        self._limit_end()

    async def send(self, message: Any) -> None:
        """As uvicorn does. Its timer closes politely, which waits for the reader."""
        await super().send(message)
        if self.close_sent and self._ending is None and not self.transport.is_closing():
            self._ending = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        self._limit_end()

    def _limit_end(self) -> None:
        if self.transport.is_closing() and self._ending is None and not self.disconnected:
            self._ending = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
