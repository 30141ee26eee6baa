"""Sends webhooks. It follows no redirect, and connects only to addresses that were checked.

A name is resolved once, and the connection goes to the address that was found, so that a name cannot be checked with
one address and reached at another. The certificate is checked against the name.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import httpcore

from webhooks.addresses import AllowedNetworks, UrlRefused, check_url, literal_address, reachable
from webhooks.attempt import WebhookAnswer

# One attempt in all, and the part of it until the connection stands.
SECONDS = 10
CONNECT_SECONDS = 5

# What is kept of an answer, and how much of it is read before the connection is closed.
EXCERPT_BYTES = 1024
MOST_BYTES = 65_536

# Once the status is known, the body has this time for its first bytes.
BODY_SECONDS = 2

# How many addresses of one name are tried.
MOST_ADDRESSES = 3

# Requests to one endpoint at once.
AT_ONCE = 20

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# Names are resolved in threads of their own: a name server that hangs holds up no other work of the process.
_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="webhook-names")

_FAILURES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (TimeoutError, f"There was no whole answer within {SECONDS} seconds."),
    (httpcore.ConnectTimeout, f"There was no connection within {CONNECT_SECONDS} seconds."),
    (httpcore.TimeoutException, f"There was no whole answer within {SECONDS} seconds."),
    (socket.gaierror, "The host's name was not found."),
    (ssl.SSLError, "There was no TLS connection: the certificate, or the version, was not accepted."),
    (httpcore.ConnectError, "No connection was made."),
    (httpcore.NetworkError, "The connection broke."),
    (httpcore.ProtocolError, "The answer is no HTTP."),
    ((httpcore.UnsupportedProtocol, httpcore.ConnectionNotAvailable, OSError), "No connection was made."),
)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system resolves it."""
    found = await asyncio.get_running_loop().run_in_executor(
        _THREADS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    return [str(address[0]) for _, _, _, _, address in found]


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the addresses of a host if they are allowed. The host is resolved once for all connections."""

    def __init__(self, allowed: AllowedNetworks, resolve_name: Resolve, *, is_plain: bool) -> None:
        self._allowed = allowed
        self._resolve = resolve_name
        self._is_plain = is_plain
        self._backend = httpcore.AnyIOBackend()
        self._found: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Any = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        for number, address in enumerate(addresses, 1):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise UrlRefused("The host has no address.")

    async def sleep(self, seconds: Any) -> None:
        await self._backend.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        key = (host, port)
        if key not in self._found:
            self._found[key] = asyncio.create_task(self._look_up(host, port))
        finding = self._found[key]
        try:
            return await asyncio.shield(finding)
        except (OSError, UrlRefused):
            self._found.pop(key, None)  # the next attempt asks again
            raise

    async def _look_up(self, host: str, port: int) -> list[str]:
        literal = literal_address(host)
        found = [str(literal)] if literal is not None else await self._resolve(host, port)
        return reachable(found, self._allowed, is_plain=self._is_plain)[:MOST_ADDRESSES]


class WebhookSender:
    """One for each process. `allowed` are networks that may be private."""

    def __init__(self, allowed: AllowedNetworks, resolve_name: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve_name
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def to(self, url: str) -> AsyncIterator["WebhookConnections"]:
        """Connections to one endpoint, as long as the block lasts."""
        is_plain = url.startswith("http:")
        if self._tls is None:
            self._tls = httpcore.default_ssl_context()
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=AT_ONCE,
            max_keepalive_connections=AT_ONCE,
            keepalive_expiry=SECONDS,
            network_backend=_CheckedNetwork(self._allowed, self._resolve, is_plain=is_plain),
        ) as pool:
            yield WebhookConnections(pool, url, self._allowed)


class WebhookConnections:
    """Posts to one URL."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, url: str, allowed: AllowedNetworks) -> None:
        self._pool = pool
        self._url = url
        self._allowed = allowed

    async def post(self, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """What came back. Raises nothing that the other side can cause."""
        at, began = datetime.now(UTC), monotonic()
        try:
            check_url(self._url, self._allowed)
            async with asyncio.timeout(SECONDS):
                status, retry_after, excerpt = await self._posted(headers, body.encode())
        except UrlRefused as refused:
            return WebhookAnswer(at, _since(began), error=refused.reason)
        except Exception as error:
            # httpcore raises errors of its own from those of TLS.
            cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
            for kind, text in _FAILURES:
                if isinstance(cause, kind):
                    return WebhookAnswer(at, _since(began), error=text)
            raise
        return WebhookAnswer(at, _since(began), status, None, excerpt, retry_after)

    async def _posted(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None, str]:
        limits = {"connect": CONNECT_SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}
        extensions = {"timeout": limits}
        async with self._pool.stream(
            "POST", self._url, headers=list(headers.items()), content=body, extensions=extensions
        ) as response:
            retry_after = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
            excerpt, read = b"", 0
            # The status has come. What follows may end early, or not at all.
            with suppress(TimeoutError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
                async with asyncio.timeout(BODY_SECONDS):
                    async for part in response.aiter_stream():
                        excerpt = (excerpt + part)[:EXCERPT_BYTES]
                        read += len(part)
                        if read > MOST_BYTES:
                            break
        asked = retry_after.decode("ascii", "replace") if retry_after is not None else None
        return response.status, asked, excerpt.decode("utf-8", "replace").replace("\0", "\ufffd")


def _since(began: Any) -> int:
    return int((monotonic() - began) * 1000)
