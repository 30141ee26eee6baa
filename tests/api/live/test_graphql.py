"""GraphQL by POST: the same answers as the routes, to the same people."""

import asyncio
import json

import httpx
import pytest

from database.connections import Database
from settings import Settings
from tests.api.live.serving import ADDED, Served, asked, cursor_now, served, signed_in, tell
from tests.api.people import PASSWORD, Person, register

PAGE = """
    query ($first: Int!, $after: String, $unread: Boolean!) {
        getNotifications(first: $first, after: $after, unreadOnly: $unread) {
            items { id type occasion body readAt accountId } nextCursor unread
        }
    }
"""
MARK = "mutation ($ids: [ID!], $through: ID) { markNotificationsRead(ids: $ids, through: $through) { marked unread } }"


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    return await register(http)


async def test_notifications_are_paged_and_marked_as_the_routes_do(here: Served, ada: Person) -> None:
    await tell(here, ada, "first", "second", "third")
    page = (await asked(ada, PAGE, first=2, unread=True))["data"]["getNotifications"]
    assert [one["occasion"] for one in page["items"]] == ["third", "second"]
    rest = (await asked(ada, PAGE, first=2, after=page["nextCursor"], unread=True))["data"]["getNotifications"]
    assert [one["occasion"] for one in rest["items"]] == ["first", "welcomed"]
    assert (rest["nextCursor"], rest["unread"]) == (None, 4)
    listed = (await ada.get("/v1/notifications", limit=2)).json()
    assert [one["id"] for one in listed["items"]] == [one["id"] for one in page["items"]]
    marked = await asked(ada, MARK, ids=[page["items"][0]["id"]])
    assert marked["data"]["markNotificationsRead"] == {"marked": 1, "unread": 3}
    marked = await asked(ada, MARK, through=page["items"][1]["id"])
    assert marked["data"]["markNotificationsRead"] == {"marked": 3, "unread": 0}


async def test_an_error_of_a_resolver_names_the_code_of_its_problem(here: Served, ada: Person) -> None:
    ben = await register(ada.http, full_name="Ben Sow")
    await tell(here, ben, "secret")
    (theirs, *_) = (await asked(ben, PAGE, first=1, unread=False))["data"]["getNotifications"]["items"]
    made = await ada.post("/v1/auth/api-keys", {"name": "A shop", "scopes": ["accounts:read"], "password": PASSWORD})
    key = Person(ada.http, ada.id, ada.account_id, made.json()["key"], ada.email)
    for person, query, variables, code in (
        (ada, MARK, {"through": theirs["id"]}, "notification_not_found"),
        (ada, MARK, {}, "validation_failed"),
        (ada, PAGE, {"first": 51, "unread": False}, "validation_failed"),
        (ada, PAGE, {"first": 1, "unread": False, "after": "x"}, "cursor_invalid"),
        (ada, PAGE, {"first": 1, "unread": False, "after": "\0"}, "cursor_invalid"),
        (ada, MARK, {"ids": ["\0"]}, "validation_failed"),
        (ada, MARK, {"through": "\0"}, "validation_failed"),
        (key, PAGE, {"first": 1, "unread": False}, "scope_missing"),
    ):
        (error,) = (await asked(person, query, **variables))["errors"]
        assert error["extensions"] == {"code": code}
    assert (await asked(ada, MARK, ids=[theirs["id"]]))["data"]["markNotificationsRead"]["marked"] == 0


async def test_half_a_character_is_the_clients_error(here: Served, ada: Person) -> None:
    for variables in ({"first": "\ud800", "unread": True}, {"first": 1, "unread": True, "after": "\ud800"}):
        answer = await ada.http.post(
            "/graphql",
            content=json.dumps({"query": PAGE, "variables": variables}),
            headers={"Authorization": f"Bearer {ada.token}", "Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_one_request_reads_few_lists_whatever_its_aliases_and_fragments(here: Served, ada: Person) -> None:
    two = "{ getNotifications { unread } a: getNotifications(first: 5) { unread } }"
    assert (await asked(ada, two))["data"]["a"] == {"unread": 1}
    three = "a: getNotifications { unread } b: getNotifications { unread } getNotifications { unread }"
    for many in (f"{{ {three} }}", f"{{ ...Three }} fragment Three on Query {{ {three} }}"):
        answer = await asked(ada, many)
        assert answer["data"] is None
        assert "getNotifications 2 times" in answer["errors"][0]["message"]


async def test_reads_of_open_pages_hold_up_nobody_elses_request(settings: Settings, database: Database) -> None:
    assert settings.database_url is not None
    async with (
        Database(settings.database_url, connections=1) as reports,
        served(settings, database, reports=reports) as here,
        httpx.AsyncClient(base_url=here.url, timeout=20, trust_env=False) as http,
    ):
        person = await register(http)
        after = await cursor_now(here, person)
        async with signed_in(here.socket_url, person.token) as socket:
            await socket.subscribe(ADDED, after)
            async with reports.connection():  # as many lists that take long
                await tell(here, person, "greeted")
                listed = asyncio.create_task(person.get("/v1/notifications"))
                assert (await asked(person, MARK, ids=[]))["data"]["markNotificationsRead"]["marked"] == 0
                assert await socket.is_silent()
                assert not listed.done()
            assert (await listed).status_code == 200
            assert (await socket.next())["notification"]["occasion"] == "greeted"


async def test_a_post_takes_one_query_within_its_limits_and_no_subscription(here: Served, ada: Person) -> None:
    for query in ("subscription { notificationAdded { cursor } }", "{ __typename "):
        answer = await ada.post("/graphql", {"query": query})
        assert answer.status_code == 422 or answer.json()["errors"], query
    assert (await ada.post("/graphql", {"query": "{ __typename }" + " " * 10_000})).status_code == 422
    assert (await ada.http.post("/graphql", json={"query": "{ __typename }"})).status_code == 401
    many = "{ " + " ".join(f"a{number}: getNotifications {{ unread }}" for number in range(12)) + " }"
    assert "aliases" in (await asked(ada, many))["errors"][0]["message"]
    deep = "{ getNotifications " + "{ items " * 12 + "{ id }" + " }" * 12 + " }"
    assert "depth" in str((await asked(ada, deep))["errors"])
    long = "{ getNotifications { " + "unread " * 1_100 + "} }"
    assert "tokens" in (await asked(ada, long))["errors"][0]["message"]
