"""Middleware for every request: a limit on its body, its line in the log, a count and a duration by route, and CORS."""

import time
from collections.abc import Sequence

import structlog
from fastapi import FastAPI
from prometheus_client import Counter, Histogram
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem

log = structlog.get_logger()

MAX_BODY_BYTES = 64 * 1024
# What may be longer, by its path.
LONG_BODIES = {"/v1/batches": 4 * 1024 * 1024}

# Load balancers and collectors ask for these all the time; a line for each answer would bury the others.
UNLOGGED = frozenset({"/health", "/ready", "/metrics"})

# A stream lasts as long as its client wants: its time says nothing about the service.
ENDLESS = frozenset({"/v1/events/stream"})

CORS_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
# What pages of other origins may send and read. `X-Namespace` comes from Temporal's Web UI, when it asks for payloads.
CORS_TAKEN = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Request-Id",
    "X-CSRF-Token",
    "X-Namespace",
)
CORS_SHOWN = (
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Request-Id",
    "Retry-After",
)
CORS_SECONDS = 600

REQUESTS = Counter("remit_http_requests_total", "Requests by route and status", ["method", "route", "status"])
SECONDS = Histogram(
    "remit_http_request_seconds",
    "Time to the last byte, by route",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)


class BodyLimit:
    """Refuses a body that is too long: by its Content-Length before it is read, else before a route reads it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        most = LONG_BODIES.get(scope["path"], MAX_BODY_BYTES)
        if _declared_bytes(scope) > most:
            await _too_large(most)(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > most:
                await _too_large(most)(scope, receive, send)
                return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, replay, send)


class RequestRecords:
    """Counts, times and logs requests by the route's template, never by a path with ids in it, and without bodies.

    Its line gets `request_id` and `customer_id` from whoever bound them for this request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            REQUESTS.labels(scope["method"], route, str(status)).inc()
            seconds = time.perf_counter() - started
            if route not in ENDLESS:
                SECONDS.labels(scope["method"], route).observe(seconds)
            if route not in UNLOGGED:
                write = log.info if status < 500 else log.warning  # noqa: PLR2004 - the server's fault from here on
                write(
                    "request", method=scope["method"], route=route, status=status, milliseconds=round(seconds * 1000, 1)
                )


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call the application, with the cookies of whoever is signed in.

    A browser asks before it sends a token or a body to another origin (CORS, https://fetch.spec.whatwg.org).
    """
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_credentials=True,
        allow_methods=CORS_METHODS,
        allow_headers=CORS_TAKEN,
        expose_headers=CORS_SHOWN,
        max_age=CORS_SECONDS,
    )


def _declared_bytes(scope: Scope) -> int:
    """The body's Content-Length. 0: it declares none, and arrives in chunks or not at all."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(declared) if declared.isdigit() else 0


def _too_large(most: int) -> Response:
    # The rest of the body stays unread, so the connection closes after the answer.
    return Problem("body_too_large", f"Send at most {most:,} bytes.", headers={"Connection": "close"}).response()
