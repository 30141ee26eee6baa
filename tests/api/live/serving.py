"""A process of the API as far as sockets need it, and clients that hold a stream open."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from api.app import create_app
from api.services import Services
from api_services import compose_api
from database.connections import WORKER_ROLE, Database
from devenv.processes.ports import free_port
from events.postgres.sequencer import number_all
from ledger.ids import CustomerId
from notifications.postgres import write_notification
from serve import http_server
from settings import Settings
from tests.api.people import Person
from tests.waiting import until

ADDED = """
    subscription ($after: String) { notificationAdded(after: $after) { cursor notification { id occasion body } } }
"""
CHANGED = """
    subscription ($after: String) { accountChanged(after: $after) {
        cursor type accountId version status entry { transferId amount balanceAfter }
    } }
"""


@dataclass
class Served:
    """Where it listens, and what it serves with."""

    url: str
    services: Services
    steps: Database

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/graphql"


@asynccontextmanager
async def served(
    settings: Settings, database: Database, *, docs: bool = True, reports: Database | None = None
) -> AsyncIterator[Served]:
    url = settings.database_url or ""
    async with Database(url, 3, "test-hub") as live, Database(url, 2, "test-steps", role=WORKER_ROLE) as steps:
        services = compose_api(settings, database, with_worker=False, reports=reports, live=live).services
        server = http_server(create_app(services, docs=docs), "127.0.0.1", port := free_port())
        running = asyncio.create_task(server.serve())
        tasks = [
            asyncio.create_task(services.hub.keep_following()),
            asyncio.create_task(services.admission.keep_checking()),
        ]

        async def is_started() -> bool:
            return server.started

        await until(is_started, "the server has started")
        try:
            yield Served(f"http://127.0.0.1:{port}", services, steps)
        finally:
            services.hub.close()
            server.should_exit = True
            await running
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def tell(here: Served, person: Person, *occasions: str) -> None:
    """Tell a customer something, as whoever changes something does, and number the events."""
    for occasion in occasions:
        async with here.steps.transaction() as connection:
            await write_notification(connection, CustomerId(person.id), occasion, f"This is {occasion}.")
    assert await number_all(here.steps)


async def asked(person: Person, query: str, **variables: object) -> dict[str, Any]:
    """The answer to a query by POST."""
    answer = await person.post("/graphql", {"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def cursor_now(here: Served, person: Person) -> str:
    """Behind all that has happened."""
    assert await number_all(here.steps)
    found = await asked(person, "{ getNotifications { streamCursor } }")
    return str(found["data"]["getNotifications"]["streamCursor"])


class Socket:
    """A client of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, **message: Any) -> None:
        await self._connection.send(json.dumps(message))

    async def send_text(self, text: str) -> None:
        await self._connection.send(text)

    async def receive(self, seconds: float = 5) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            return dict(json.loads(await self._connection.recv()))

    async def init(self, **payload: str) -> dict[str, Any]:
        await self.send(type="connection_init", payload=payload)
        return await self.receive()

    async def subscribe(self, query: str, after: str | None = None, id_: str = "1") -> None:
        await self.send(id=id_, type="subscribe", payload={"query": query, "variables": {"after": after}})

    async def next(self, seconds: float = 5) -> dict[str, Any]:
        """What the one field of the next message holds."""
        message = await self.receive(seconds)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (field,) = message["payload"]["data"].values()
        return dict(field)

    async def closed(self, seconds: float = 5) -> tuple[int, str]:
        """The code and the reason with which the server closes it; messages before that are dropped."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(seconds):
                while True:
                    await self._connection.recv()
        return self._connection.close_code or 0, self._connection.close_reason or ""

    async def is_silent(self, seconds: float = 0.3) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._connection.recv()
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def opened(url: str, **headers: str) -> AsyncIterator[Socket]:
    """A socket that says nothing yet."""
    async with connect(
        url, subprotocols=[Subprotocol("graphql-transport-ws")], additional_headers=headers, proxy=None, close_timeout=1
    ) as connection:
        yield Socket(connection)


@asynccontextmanager
async def signed_in(url: str, token: str) -> AsyncIterator[Socket]:
    async with opened(url) as socket:
        assert await socket.init(Authorization=f"Bearer {token}") == {"type": "connection_ack"}
        yield socket


@dataclass
class Message:
    """A message of a stream of Server-Sent Events."""

    id: str | None = None
    event: str | None = None
    data: Any = None


@asynccontextmanager
async def followed(
    http: httpx.AsyncClient, token: str, query: str = "", **headers: str
) -> AsyncIterator[AsyncIterator[Message]]:
    """The messages of `GET /v1/events/stream`, comments left out."""
    sent = {"Authorization": f"Bearer {token}", **headers}
    async with http.stream("GET", f"/v1/events/stream{query}", headers=sent) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")

        async def messages() -> AsyncIterator[Message]:
            message = Message()
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "data":
                    message.data = json.loads(value)
                elif name in ("id", "event"):
                    setattr(message, name, value)
                elif not line and message.id is not None:
                    yield message
                    message = Message()

        yield messages()
