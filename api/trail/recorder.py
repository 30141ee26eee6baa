"""Sees every request that may change something, and hands it to the queue once it is answered."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.trail.request_queue import RequestQueue
from database.trail.cause import CAUSE
from trail.request import LONGEST_HEADER, LONGEST_PATH, MOST_HEADERS, ReceivedRequest

RECORDED = frozenset({"POST", "PATCH", "PUT", "DELETE"})

# What waits of a body. It is read by whoever handles the request, this only keeps a copy.
MOST_BYTES = 16_384

_ID = re.compile(r"[a-z]{3}_[a-z2-7]{26}")


class RequestRecorder:
    """Pure ASGI middleware. It takes the queue from the application's services, and writes nothing itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and keep what is needed to record it."""
        if scope["type"] != "http" or scope["method"] not in RECORDED:
            await self._app(scope, receive, send)
            return
        queue: RequestQueue = scope["app"].state.remit.request_queue
        received_at, started = datetime.now(UTC), time.perf_counter()
        body, size, status, location = bytearray(), 0, 500, ""

        async def read() -> Message:
            nonlocal size
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            body.extend(part[: MOST_BYTES - len(body)])
            return message

        async def watch(message: Message) -> None:
            nonlocal status, location
            if message["type"] == "http.response.start":
                status = message["status"]
                named = (value.decode("latin-1") for name, value in message["headers"] if name == b"location")
                location = next(named, "")
            await send(message)

        try:
            await self._app(scope, read, watch)
        finally:
            cause = CAUSE.get()
            route = getattr(scope.get("route"), "path", "unknown")
            queue.put(
                ReceivedRequest(
                    received_at=received_at,
                    request_id=cause.request_id if cause else "unknown",
                    method=scope["method"],
                    route=route,
                    path=scope["path"][:LONGEST_PATH] if route != "unknown" else route,  # it could hold anything
                    status=status,
                    milliseconds=round((time.perf_counter() - started) * 1000),
                    actor_id=cause.actor_id if cause else None,
                    address=(cause.address if cause else None) or "",
                    headers=[
                        (name[:LONGEST_HEADER], value[:LONGEST_HEADER])
                        for name, value in scope["headers"][:MOST_HEADERS]
                    ],
                    body=bytes(body),
                    body_bytes=size,
                    caused=list(dict.fromkeys(_named(scope, location))),
                )
            )


def _named(scope: Scope, location: str) -> Iterator[str]:
    """The ids in the path and in the answer's `Location`."""
    yield from _ID.findall(scope["path"][:LONGEST_PATH])
    yield from _ID.findall(location)
