"""An endpoint: a small server that keeps what it receives, and answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

from tests.waiting import until

Said = tuple[int, Mapping[str, str], bytes]
ACCEPTED: Said = (204, {}, b"")


@dataclass
class Received:
    """A request: its headers, and its body as text and as JSON."""

    headers: dict[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.text))

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answers` are for the next requests, in their order; then `rule` decides, which accepts everything."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[Said] = field(default_factory=list)
    rule: Callable[[Received], Said] = lambda _: ACCEPTED

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.received]

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        receiver = cls()
        server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
        receiver.port = server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            server.close()

    async def gets(self, count: int) -> list[Received]:
        """What came, once there are so many."""

        async def are_there() -> bool:
            return len(self.received) >= count

        await until(are_there, f"{count} webhooks")
        return self.received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                text = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
                one = Received(headers, text)
                self.received.append(one)
                status, more, body = self.answers.pop(0) if self.answers else self.rule(one)
                lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in more.items()]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        writer.close()
