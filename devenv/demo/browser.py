"""A browser with an open socket: GraphQL over WebSocket (graphql-transport-ws)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from devenv.demo.customers import UnexpectedAnswer

_CURSOR = "{ getNotifications(first: 1) { streamCursor } }"
_ADDED = """
    subscription ($after: String) { notificationAdded(after: $after) { notification { body transferId } } }
"""


class OpenSocket:
    """What comes in by one subscription."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def notification(self) -> dict[str, Any]:
        """The next notification: `body` and `transferId`."""
        while True:
            message = json.loads(await self._socket.recv())
            if message["type"] == "next":
                added: dict[str, Any] = message["payload"]["data"]["notificationAdded"]["notification"]
                return added
            if message["type"] in ("error", "complete"):
                raise UnexpectedAnswer(f"the subscription ended: {message}")


@asynccontextmanager
async def open_socket(http: httpx.AsyncClient, authorization: str) -> AsyncIterator[OpenSocket]:
    """Subscribe to the notifications that are added from now on. None is missed, however long that takes."""
    answer = await http.post("/graphql", json={"query": _CURSOR}, headers={"Authorization": authorization})
    cursor = answer.json()["data"]["getNotifications"]["streamCursor"]
    url = str(http.base_url.copy_with(scheme="ws", path="/graphql"))
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": authorization}}))
        if json.loads(await socket.recv())["type"] != "connection_ack":
            raise UnexpectedAnswer("the socket was not accepted")
        wanted = {"query": _ADDED, "variables": {"after": cursor}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": wanted}))
        yield OpenSocket(socket)
