"""What one client may take of the HTTP server: bytes before a request is whole, seconds, and connections.

uvicorn limits none of these for its fast parser, httptools. So this is uvicorn's connection with the limits added.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast
from weakref import WeakKeyDictionary

from structlog.contextvars import bound_contextvars
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.http.exchange import headers_of_all, new_request_id
from api.http.middleware import LONG_BODIES, MAX_BODY_BYTES
from api.http.problems import Problem

MAX_URL_BYTES = 8 * 1024
MAX_HEADER_BYTES = 8 * 1024
# The request line and all headers together.
MAX_HEAD_BYTES = 16 * 1024
# What a body may take with the frames of its chunks: more than that is no body.
MAX_FRAMED_BYTES = 8 * MAX_BODY_BYTES

# From the connection, or from the first byte of a later request, until the headers are whole.
HEAD_SECONDS = 10.0
# From there until the body is whole.
BODY_SECONDS = 10.0
# From an answer until the next request. Proxies and clients keep an idle connection for 60 seconds at most, as a rule,
# and so close it first: a request that is sent at the moment when we close it has no answer, and nobody knows whether
# it was done.
IDLE_SECONDS = 75
# How long our buffer may stay full because a client does not read its answer.
READ_SECONDS = 30.0
# Whole or begun requests that may wait behind the one that is being answered.
MAX_PIPELINED = 10
# A refused client may still be sending. What it sends is dropped for so long, so that it gets to read the refusal:
# the kernel resets a connection that is closed with unread bytes.
DROP_SECONDS = 1.0
MAX_DROPPED_BYTES = 1024 * 1024

MAX_CONNECTIONS = 2_000


class _Phase(Enum):
    """What the connection waits for."""

    IDLE = auto()  # the next request
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REFUSED = auto()
    UPGRADED = auto()  # another protocol reads it


class _Refused(Exception):
    """Stops the parser: the request breaks a limit, and the problem with this code answers it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Flow(FlowControl):
    """Says when the connection is read again: what is missing then is the client's to send."""

    def __init__(self, transport: asyncio.Transport, on_resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._on_resumed = on_resumed

    def resume_reading(self) -> None:
        """Also called where nothing was paused."""
        was_paused = self.read_paused
        super().resume_reading()
        if was_paused:
            self._on_resumed()


class LimitedConnection(HttpToolsProtocol):
    """One connection of a client, which closes once the client exceeds a limit."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._phase = _Phase.IDLE
        self._since = 0.0
        self._received = 0
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._refusal: str | None = None
        self._waiting = _WAITING.setdefault(server_state, OrderedDict())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, in place of the one that has waited longest for a request if there are too many."""
        is_full = len(self.connections) >= MAX_CONNECTIONS and not _close_longest_waiting(self._waiting)
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = _Flow(cast("asyncio.Transport", transport), self._limit_wait)
        self._wait_for(_Phase.HEAD)
        self._limit_wait()
        if is_full:
            self._refuse("too_busy")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client or we have closed it."""
        self._stop_timer()
        self._stop_read_timer()
        self._waiting.pop(self, None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Our buffer is full: the client reads too slowly, or not at all."""
        super().pause_writing()
        self._stop_read_timer()
        self._read_timer = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read most of what waited for it."""
        self._stop_read_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent, unless it is too much of it."""
        self._received += len(data)
        if self._phase is _Phase.REFUSED:
            if self._received > MAX_DROPPED_BYTES:
                self.transport.abort()
            return
        if self._phase is _Phase.IDLE:
            self._received = len(data)
            self._wait_for(_Phase.HEAD)
        super().data_received(data)
        # The parser keeps a header that is not whole, and reports its length only at its end.
        if self._phase is _Phase.HEAD and self._received > MAX_HEAD_BYTES:
            self._refuse("headers_too_large")
        elif self._phase is _Phase.BODY and self._received > self._most_framed_bytes():
            self._refuse("body_too_large")
        else:
            self._limit_wait()

    def _most_framed_bytes(self) -> int:
        """What the request may send: a path with longer bodies may send the longer body, too."""
        return MAX_FRAMED_BYTES + LONG_BODIES.get(self.scope["path"], 0)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser did not accept. `msg` is uvicorn's own text."""
        del msg
        self._refuse(self._refusal or "request_malformed")

    def handle_websocket_upgrade(self) -> None:
        """It is another protocol's connection now: no limit of requests holds, and none takes its place."""
        self._wait_for(_Phase.UPGRADED)
        self._waiting.pop(self, None)
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """A request begins, perhaps while the one before it is answered."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._phase is not _Phase.HEAD:
            self._received = 0
            self._wait_for(_Phase.HEAD)

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._stop_parser("uri_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after the body."""
        size = len(name) + len(value) + 4  # colon, space and line end
        self._head_bytes += size
        if size > MAX_HEADER_BYTES or self._head_bytes > MAX_HEAD_BYTES:
            self._stop_parser("headers_too_large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request is known, and its body may follow."""
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            self._stop_parser("too_busy")  # closes the connection, as the answers to whole requests are due
        self._received = 0
        self._wait_for(_Phase.BODY)

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self._wait_for(_Phase.ANSWER if self._unanswered() else _Phase.IDLE)

    def on_response_complete(self) -> None:
        """A request is answered; the next one may have been received already."""
        super().on_response_complete()
        if self._phase is _Phase.ANSWER and not self._unanswered():
            self._wait_for(_Phase.IDLE)
        else:
            self._note_wait()
            self._limit_wait()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also one with an answer that the client has not read until now."""
        self.transport.abort()

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a whole request, and owes no answer."""
        return not self._is_answering()

    def close_for_another(self) -> None:
        """Make room. Nothing that was accepted is lost: no request is being answered."""
        self.transport.abort()
        self._waiting.pop(self, None)
        self.connections.discard(self)  # the loop reports the loss later, and more connections may come before that

    def _unanswered(self) -> RequestResponseCycle | None:
        """The last request whose headers are known, unless it is answered."""
        request = cast("RequestResponseCycle | None", self.cycle)
        return None if request is None or request.response_complete else request

    def _is_answering(self) -> bool:
        """Whether it owes the answer to a whole request."""
        request = self._unanswered()
        return bool(self.pipeline) or (request is not None and not request.more_body)

    def _wait_for(self, phase: _Phase) -> None:
        self._stop_timer()
        self._phase = phase
        self._since = self.loop.time()
        self._waiting.pop(self, None)
        self._note_wait()

    def _note_wait(self) -> None:
        if self in self.connections:  # a request may end after its connection
            self._waiting.setdefault(self)

    def _limit_wait(self) -> None:
        """Limit the time for what is not whole yet. While we do not read on, the client's time stands still."""
        if self._phase is _Phase.IDLE and self.timeout_keep_alive_task is None:
            # The body of a request came after its answer, and what came stopped uvicorn's timer.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        if self._timer is None and self._phase in (_Phase.HEAD, _Phase.BODY) and not self.flow.read_paused:
            seconds = HEAD_SECONDS if self._phase is _Phase.HEAD else BODY_SECONDS
            self._timer = self.loop.call_later(seconds, self._time_is_over)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _time_is_over(self) -> None:
        if self._phase is _Phase.HEAD and not self._received:
            self.transport.abort()  # no request has begun
        else:
            self._refuse("request_too_slow")

    def _stop_parser(self, code: str) -> None:
        """End the parser's run: uvicorn then calls `send_400_response`."""
        self._refusal = code
        raise _Refused(code)

    def _refuse(self, code: str) -> None:
        """Answer with a problem and close. A request that is being answered just loses its connection."""
        if self.transport.is_closing():
            return
        if (request := self._unanswered()) is not None:
            request.disconnected = True
            request.message_event.set()
            # The client would take a problem for the answer to the request before it, which may have moved money.
            if request.response_started or self._is_answering():
                self.transport.abort()
                return
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        # A request that was answered before its body came gets no second answer.
        if self._phase is not _Phase.BODY or request is not None:
            self.transport.write(_as_http(Problem(code, headers={"Connection": "close"})))
        self._received = 0
        self._wait_for(_Phase.REFUSED)
        self._timer = self.loop.call_later(DROP_SECONDS, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()


# The connections of each server by how long they have waited, the longest first. Those that answer a request are taken
# out when they are met there, and come back when they wait again: so the longest is found without looking at all.
_WAITING: WeakKeyDictionary[ServerState, OrderedDict[LimitedConnection, None]] = WeakKeyDictionary()


def _close_longest_waiting(waiting: OrderedDict[LimitedConnection, None]) -> bool:
    """Close the connection that has waited longest for a request. False: all of them answer one."""
    while waiting:
        longest, _ = waiting.popitem(last=False)
        if longest.is_waiting:
            longest.close_for_another()
            return True
    return False


def _as_http(problem: Problem) -> bytes:
    request_id = new_request_id()
    with bound_contextvars(request_id=request_id):
        response = problem.response()
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in (*response.raw_headers, *headers_of_all(request_id))]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
