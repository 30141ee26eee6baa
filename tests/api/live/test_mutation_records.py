"""Mutations by WebSocket stand on the trail of requests, as those by POST do."""

import httpx
import pytest

from tests.api.live.serving import CHANGED, Served, Socket, asked, signed_in, tell
from tests.api.people import PASSWORD, Person, register
from tests.waiting import until
from trail.postgres.requests import RequestSearch
from trail.request import RequestRecord

MARK = "mutation Mark($ids: [ID!]) { markNotificationsRead(ids: $ids) { marked } }"
DEEP = "mutation { markNotificationsRead { marked { a { b { c { d { e } } } } } } }"


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    return await register(http)


async def run(socket: Socket, query: str, **variables: object) -> dict[str, object]:
    """The answer to an operation that ends by itself."""
    await socket.send(id="m", type="subscribe", payload={"query": query, "variables": variables})
    answer = await socket.receive()
    if answer["type"] == "next":
        assert (await socket.receive())["type"] == "complete"
    return answer


async def records(here: Served) -> list[RequestRecord]:
    """Those of sockets, in the order in which they came. A record may be written before one that came earlier."""
    await here.services.request_queue.write_all()
    found = await here.services.request_records.find(RequestSearch(route="/graphql", method="WEBSOCKET"), 50)
    return sorted(found.items, key=lambda one: one.received_at)


async def test_each_mutation_on_a_socket_leaves_a_record_of_who_when_what_and_its_answer(
    here: Served, ada: Person
) -> None:
    await tell(here, ada, "greeted")
    page = await asked(ada, "{ getNotifications { items { id } } }")
    ids = [one["id"] for one in page["data"]["getNotifications"]["items"]]
    key = await ada.post("/v1/auth/api-keys", {"name": "A", "scopes": ["notifications:read"], "password": PASSWORD})
    async with signed_in(here.socket_url, ada.token) as socket, signed_in(here.socket_url, key.json()["key"]) as keyed:
        await socket.subscribe(CHANGED)
        assert (await run(socket, "{ getNotifications { unread } }"))["type"] == "next"
        assert "errors" not in str(await run(socket, MARK, ids=ids[:1]))
        assert "validation_failed" in str(await run(socket, MARK))
        assert (await run(socket, DEEP))["type"] == "error"
        assert "scope_missing" in str(await run(keyed, MARK, ids=ids))
    found = await records(here)
    assert [(one.status, one.actor_id) for one in found] == [(status, ada.id) for status in (200, 422, 422, 403)]
    first = found[0]
    assert first.body == {"query": MARK, "variables": {"ids": ids[:1]}, "operationName": "Mark"}
    assert (first.method, first.route, first.path, first.address) == ("WEBSOCKET", "/graphql", "/graphql", "127.0.0.1")
    assert first.received_at <= first.recorded_at
    assert len({one.request_id for one in found}) == len(found)
    assert not any(secret in str(found) for secret in (ada.token, key.json()["key"]))


async def test_a_mutation_whose_socket_is_cut_leaves_a_record(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []

    async def stuck(*sent: object) -> None:
        begun.append(sent)
        await until(never, "nothing", 30)

    async def never() -> bool:
        return False

    async def has_begun() -> bool:
        return bool(begun)

    monkeypatch.setattr(here.services.notifications, "mark_read", stuck)
    async with signed_in(here.socket_url, ada.token) as socket:
        await socket.send(id="m", type="subscribe", payload={"query": MARK, "variables": {"ids": ["ntf_a"]}})
        await until(has_begun, "the mutation runs")

    async def is_recorded() -> bool:
        return bool(await records(here))

    await until(is_recorded, "it is recorded")
    assert [one.status for one in await records(here)] == [500]
