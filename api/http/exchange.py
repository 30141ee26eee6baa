"""What holds for every request and answer: the request's id, headers that may occur once, HEAD, and validators.

The id is bound here for all log lines of the request, as `request_id`, and names the request in the `instance` of its
problems. One pass over the headers serves all of it.
"""

import hashlib
import re
from secrets import token_hex

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.http.problems import Problem
from customers.sign_ins.networks import client_at
from database.trail.cause import CAUSE, Cause

# What may stand in a log line and in a URN. Another id is replaced, because it names the request for us only.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:+/=@-]{1,128}")

_WATCHED = frozenset({b"request-id", b"authorization", b"content-type", b"if-none-match"})

# Two of one of these headers would be read differently by different readers.
_ONCE = frozenset({b"authorization", b"content-type"})


class Exchange:
    """Pure ASGI middleware, outside of everything that answers. It also answers for a defect that nothing handled."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found: dict[bytes, bytes] = {}
        repeated = False
        for name, value in scope["headers"]:
            if name in _WATCHED:
                repeated |= name in found and name in _ONCE
                found[name] = found[name] + b"," + value if name in found else value
        request_id = _request_id(found.get(b"request-id"))
        bind_contextvars(request_id=request_id)
        CAUSE.set(Cause(request_id, client_at(scope["client"][0] if scope.get("client") else "").address))
        answer = _Answer(scope["method"], request_id, found.get(b"if-none-match"), send)
        if problem := _objection(scope, repeated=repeated):
            await problem.response()(scope, receive, answer.send)
            return
        # Whatever can be read by GET can be asked for by HEAD. The server needs the real method in its own scope.
        inner = scope if scope["method"] != "HEAD" else {**scope, "method": "GET", "asked_by": "HEAD"}
        try:
            await self._app(inner, receive, answer.send)
        except Exception:
            # The framework would answer too, but past this middleware. Raised again, so that the server logs it.
            if not answer.begun:
                await Problem("internal_error").response()(scope, receive, answer.send)
            raise
        finally:
            if inner is not scope and "route" in inner:
                scope["route"] = inner["route"]


class _Answer:
    """Adds the headers of every answer. A body that the client has already, by its ETag, is not sent again."""

    def __init__(self, method: str, request_id: str, if_none_match: bytes | None, send: Send) -> None:
        self._method = method
        self._request_id = request_id
        self._if_none_match = if_none_match
        self._send = send
        self._waiting: Message | None = None
        self.begun = False  # whether the server has begun to answer

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(header for header in headers_of_all(self._request_id) if header[0] not in own),
            ]
            if message["status"] == 200 and self._method in ("GET", "HEAD"):  # noqa: PLR2004 - only a 200 is validated
                self._waiting = message  # its ETag follows from the body
                return
        elif message["type"] == "http.response.body":
            if self._waiting is not None:
                start, self._waiting = self._waiting, None
                if not message.get("more_body"):
                    self._validate(start, message)
                self.begun = True
                await self._send(start)
            if self._method == "HEAD":
                message["body"] = b""
        self.begun = True
        await self._send(message)

    def _validate(self, start: Message, body: Message) -> None:
        etag = b'"' + hashlib.blake2b(body.get("body", b""), digest_size=12).hexdigest().encode() + b'"'
        start["headers"].append((b"etag", etag))
        if self._if_none_match is not None and _matches(self._if_none_match, etag):
            start["status"] = 304
            start["headers"] = [
                (name, value) for name, value in start["headers"] if name not in (b"content-length", b"content-type")
            ]
            body["body"] = b""


def new_request_id() -> str:
    """For a request that has no usable id of its own."""
    return f"req_{token_hex(16)}"


def headers_of_all(request_id: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every answer, unless it has others of these names."""
    return (
        (b"request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )


def _request_id(given: bytes | None) -> str:
    return given.decode() if given is not None and _REQUEST_ID.fullmatch(given) else new_request_id()


def _objection(scope: Scope, *, repeated: bool) -> Problem | None:
    if repeated:
        return Problem("header_repeated")
    # A server decodes paths, so `a%2Fb` would pass for two segments. No id holds a slash.
    if b"%2" in scope["raw_path"] and b"%2f" in scope["raw_path"].lower():
        return Problem("not_found")
    return None


def _matches(if_none_match: bytes, etag: bytes) -> bool:
    """RFC 9110, section 13.1.2: any of the tags, compared weakly, or `*`."""
    tags = (tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b","))
    return any(tag in (etag, b"*") for tag in tags)
