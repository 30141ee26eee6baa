"""What a client may send on a socket that is no message of graphql-transport-ws: it closes, and is no fault of ours."""

import logging
from typing import Any

import httpx
import pytest

from tests.api.live.serving import Served, opened, signed_in
from tests.api.people import Person, register

STRANGERS = ["[]", "null", '"x"', "7", '{"type": []}', "{}", '{"type": "connection_init", "payload": 7}']
READ = "{ getNotifications { unread } }"
PAYLOADS: list[Any] = [
    None,
    [],
    {},
    {"query": 7},
    {"query": [READ]},
    {"query": READ, "variables": 7},
    {"query": READ, "variables": []},
    {"query": READ, "operationName": []},
]
CUSTOMERS: list[dict[str, Any]] = [
    {"type": "complete", "id": {}},
    {"type": "subscribe", "id": [], "payload": {"query": READ}},
    *({"type": "subscribe", "id": "1", "payload": payload} for payload in PAYLOADS),
]


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    return await register(http)


async def test_a_frame_that_is_no_message_closes_the_socket_and_is_no_error_in_the_log(
    here: Served, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    for frame in STRANGERS:
        async with opened(here.socket_url) as socket:
            await socket.send_text(frame)
            assert (await socket.closed())[0] == 4400, frame
    for message in CUSTOMERS:
        async with signed_in(here.socket_url, ada.token) as socket:
            await socket.send(**message)
            assert (await socket.closed())[0] == 4400, message
    async with signed_in(here.socket_url, ada.token) as socket:
        payload: dict[str, Any] = {"query": READ, "variables": None, "operationName": None, "extensions": {}}
        await socket.send(type="subscribe", id="1", payload=payload)
        assert (await socket.receive())["type"] == "next"
    assert [record.getMessage() for record in caplog.records] == []
