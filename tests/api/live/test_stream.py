"""Server-Sent Events: the same events for clients without GraphQL, to go on with by `Last-Event-ID`."""

import asyncio

import httpx
import pytest

from database.connections import Database
from settings import Settings
from tests.api.live.serving import Served, cursor_now, followed, served, tell
from tests.api.people import Person, register
from tests.connections import Connection


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    return await register(http)


async def test_a_stream_goes_on_at_another_process_behind_the_last_event_id(
    here: Served, settings: Settings, database: Database, ada: Person
) -> None:
    last = await cursor_now(here, ada)
    got: list[str] = []
    async with (
        served(settings, database) as there,
        httpx.AsyncClient(base_url=there.url, timeout=20, trust_env=False) as other,
    ):
        for turn in range(4):
            names = [f"turn-{turn}-{number}" for number in range(5)]
            async with followed((ada.http, other)[turn % 2], ada.token, **{"Last-Event-ID": last}) as messages:
                first = await anext(messages)
                assert (first.id, first.data) == (last, None)
                telling = asyncio.create_task(tell(here, ada, *names))
                async with asyncio.timeout(5):
                    for _ in names:
                        message = await anext(messages)
                        assert message.event == "notification.added"
                        got.append(message.data["data"]["notification"]["occasion"])
                        assert message.id == message.data["sequence"] > last
                        last = str(message.id)
                await telling
    assert got == [f"turn-{turn}-{number}" for turn in range(4) for number in range(5)]


async def test_a_stream_holds_the_wanted_types_of_its_reader_alone(
    here: Served, owner: Connection, ada: Person
) -> None:
    ben = await register(ada.http, full_name="Ben Sow")
    after = await cursor_now(here, ada)
    async with followed(ada.http, ada.token, f"?after={after}&types=account.tier_changed") as messages:
        await anext(messages)
        await tell(here, ada, "greeted")
        for person in (ben, ada):
            await owner.execute("UPDATE accounts SET tier = 2 WHERE id = $1", person.account_id)
        await tell(here, ben, "greeted")
        async with asyncio.timeout(5):
            message = await anext(messages)
    assert (message.event, message.data["accountid"]) == ("account.tier_changed", ada.account_id)


async def test_a_stream_ends_when_its_session_does(here: Served, ada: Person) -> None:
    async with followed(ada.http, ada.token) as messages:
        await anext(messages)
        bearer = {"Authorization": f"Bearer {ada.token}"}
        assert (await ada.http.post("/v1/auth/logout", headers=bearer)).status_code == 204
        async with asyncio.timeout(5):
            assert [message async for message in messages] == []
    assert (await ada.get("/v1/events/stream")).status_code == 401
    assert here.services.admission.streams == 0


async def test_a_request_for_a_stream_is_refused_like_any_other(here: Served, ada: Person) -> None:
    for query, code in (
        ("?after=never", "cursor_invalid"),
        ("?after=999999999", "cursor_invalid"),
        ("?types=weather.changed", "validation_failed"),
        ("?type=account.frozen", "validation_failed"),
    ):
        bearer = {"Authorization": f"Bearer {ada.token}"}
        assert (await ada.http.get(f"/v1/events/stream{query}", headers=bearer)).json()["code"] == code
    asked = await ada.http.head("/v1/events/stream", headers={"Authorization": f"Bearer {ada.token}"})
    assert (asked.status_code, asked.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
