"""Ada's shop: a web server that takes webhooks, and is down at first."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self

from standardwebhooks import Webhook

from devenv.processes.ports import LOCALHOST

_DOWN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TAKEN = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@dataclass
class Shop:
    """Answers 500 until it is up, and takes what comes then.

    `tried` are the event ids of all requests, `taken` the events of those that it took, each signed by `secret`.
    """

    secret: str = ""
    is_up: bool = False
    tried: list[str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, LOCALHOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Where it takes webhooks."""
        assert self._server is not None
        return f"http://{LOCALHOST}:{self._server.sockets[0].getsockname()[1]}/remit"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.tried.append(headers["webhook-id"])
        if self.is_up:
            Webhook(self.secret).verify(body, headers)
            self.taken.append(json.loads(body))
        writer.write(_TAKEN if self.is_up else _DOWN)
        await writer.drain()
        writer.close()
