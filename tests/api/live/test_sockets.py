"""GraphQL over WebSockets: what reaches whom, how a client comes again, and when its socket is closed."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from api.graphql import root_types
from api.graphql import socket as graphql_socket
from api.http import connection_limits
from api.live import admission, hub
from database.connections import Database, Unavailable
from ledger.ids import CustomerId, NotificationId, SessionId
from notifications.notification import Notification
from settings import Settings
from tests.api.live.serving import ADDED, CHANGED, Served, cursor_now, opened, served, signed_in, tell
from tests.api.people import PASSWORD, Person, register
from tests.connections import Connection
from tests.waiting import until

PEOPLE = "SELECT id FROM sessions WHERE customer_id = $1"


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    return await register(http)


@pytest.fixture
async def ben(http: httpx.AsyncClient) -> Person:
    return await register(http, full_name="Ben Sow")


async def test_a_notification_and_a_change_arrive_on_open_sockets_of_their_owner_alone(
    here: Served, owner: Connection, ada: Person, ben: Person
) -> None:
    after = await cursor_now(here, ada)
    async with signed_in(here.socket_url, ada.token) as mine, signed_in(here.socket_url, ben.token) as theirs:
        for socket in (mine, theirs):
            await socket.subscribe(ADDED, after)
        await tell(here, ada, "greeted")
        added = await mine.next()
        assert (added["notification"]["occasion"], added["notification"]["body"]) == ("greeted", "This is greeted.")
        for socket in (mine, theirs):
            await socket.subscribe(CHANGED, after, id_="2")
        await owner.execute("UPDATE accounts SET tier = 2 WHERE id = $1", ada.account_id)
        await tell(here, ben, "greeted")
        changed = await mine.next()
        assert (changed["type"], changed["accountId"], changed["entry"]) == (
            "account.tier_changed",
            ada.account_id,
            None,
        )
        assert changed["cursor"] > added["cursor"] > after
        # Of all this, the stranger got their own notification alone.
        assert (await theirs.next())["notification"]["occasion"] == "greeted"
        assert await theirs.is_silent()
        assert await mine.is_silent(0.01)


async def test_a_pushed_notification_is_read_once_for_all_sockets_of_its_customer_and_each_socket_leaves_a_line(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, reads = here.services.notifications.find, list[str]()

    async def counted(reader_id: CustomerId, notification_id: NotificationId) -> Notification | None:
        reads.append(notification_id)
        return await find(reader_id, notification_id)

    monkeypatch.setattr(here.services.notifications, "find", counted)
    after = await cursor_now(here, ada)
    with capture_logs() as lines:
        async with signed_in(here.socket_url, ada.token) as one, signed_in(here.socket_url, ada.token) as other:
            for socket in (one, other):
                await socket.subscribe(ADDED, after)
            await tell(here, ada, "greeted")
            ids = {(await socket.next())["notification"]["id"] for socket in (one, other)}
        assert ids == set(reads)
        assert len(reads) == 1

        async def both_ended() -> bool:
            return [line["event"] for line in lines].count("socket") == 2

        await until(both_ended, "both sockets have left a line")
    (first, _) = (line for line in lines if line["event"] == "socket")
    assert (first["route"], first["customer_id"], first["operations"]) == ("/graphql", ada.id, 1)


async def test_a_client_goes_on_at_another_process_and_misses_and_repeats_nothing(
    here: Served, settings: Settings, database: Database, ada: Person
) -> None:
    names = [f"event-{number}" for number in range(100)]
    after = await cursor_now(here, ada)
    got: list[str] = []

    async def read(url: str, most: int) -> None:
        nonlocal after
        async with signed_in(url, ada.token) as socket:
            await socket.subscribe(ADDED, after)
            for _ in range(most):
                found = await socket.next()
                got.append(found["notification"]["occasion"])
                after = found["cursor"]

    async with served(settings, database) as there:
        telling = asyncio.create_task(tell_slowly(here, ada, names))
        for turn, most in enumerate((7, 23, 30, 40)):
            await read((here, there)[turn % 2].socket_url, most)
        await telling
    assert got == names


async def tell_slowly(here: Served, person: Person, names: list[str]) -> None:
    for name in names:
        await tell(here, person, name)


async def test_a_cursor_of_long_ago_gets_all_that_was_missed_before_what_is_new(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "EVENTS_AT_ONCE", 4)
    after = await cursor_now(here, ada)
    await tell(here, ada, *(f"missed-{number}" for number in range(11)))
    async with signed_in(here.socket_url, ada.token) as socket:
        await socket.subscribe(ADDED, after)
        got = [(await socket.next())["notification"]["occasion"] for _ in range(11)]
        await tell(here, ada, "new")
        got.append((await socket.next())["notification"]["occasion"])
    assert got == [*(f"missed-{number}" for number in range(11)), "new"]


async def test_a_client_that_reads_too_slowly_is_closed_and_comes_again_with_its_cursor(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_WAITING", 5)
    after = await cursor_now(here, ada)
    async with signed_in(here.socket_url, ada.token) as socket:
        await socket.subscribe(ADDED, after)
        await tell(here, ada, "first")
        first = await socket.next()
        await tell(here, ada, *(f"burst-{number}" for number in range(30)))
        assert (await socket.closed())[0] == 1013
    async with signed_in(here.socket_url, ada.token) as socket:
        await socket.subscribe(ADDED, first["cursor"])
        got = [(await socket.next())["notification"]["occasion"] for _ in range(30)]
    assert got == [f"burst-{number}" for number in range(30)]
    assert here.services.hub.subscriptions <= 1


async def test_a_subscription_outlives_a_database_that_is_away_and_a_notification_that_is_gone(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, failures = here.services.notifications.find, [Unavailable("away"), Unavailable("away")]
    answered: list[str] = []

    async def failing(reader_id: CustomerId, notification_id: NotificationId) -> Notification | None:
        if failures:
            raise failures.pop()
        found = await find(reader_id, notification_id)
        assert found is not None
        answered.append(found.occasion)
        return None if found.occasion == "gone" else found

    monkeypatch.setattr(here.services.notifications, "find", failing)
    monkeypatch.setattr(root_types, "RETRY_SECONDS", 0.01)
    after = await cursor_now(here, ada)
    async with signed_in(here.socket_url, ada.token) as socket:
        await socket.subscribe(ADDED, after)
        await tell(here, ada, "first", "gone", "last")
        got = [(await socket.next())["notification"]["occasion"] for _ in range(2)]
    assert (got, answered) == (["first", "last"], ["first", "gone", "last"])


async def test_a_cursor_or_an_id_that_never_was_is_the_clients_error(here: Served, ada: Person) -> None:
    async with signed_in(here.socket_url, ada.token) as socket:
        for number, cursor in enumerate(("9" * 5_000, "9" * 20, "٣", "-1", "\0", "\ud800")):
            await socket.subscribe(ADDED, cursor, id_=str(number))
            assert "cursor_invalid" in str(await socket.receive()), cursor
            await socket.receive()  # it is complete
        await socket.subscribe("mutation ($after: ID) { markNotificationsRead(through: $after) { marked } }", "\ud800")
        assert "validation_failed" in str(await socket.receive())


async def test_a_socket_closes_within_5_seconds_of_the_end_of_its_session_key_or_token(
    here: Served, owner: Connection, ada: Person, ben: Person
) -> None:
    made = await ben.post(
        "/v1/auth/api-keys", {"name": "A shop", "scopes": ["notifications:read"], "password": PASSWORD}
    )
    session = SessionId(await owner.fetchval(PEOPLE, ada.id))
    soon = datetime.now(UTC) + timedelta(seconds=1)
    short = here.services.tokens.issue_access(CustomerId(ada.id), session, soon)
    begun = time.monotonic()
    async with (
        signed_in(here.socket_url, short) as expires,
        signed_in(here.socket_url, ada.token) as ends,
        signed_in(here.socket_url, made.json()["key"]) as revoked,
    ):
        await ends.subscribe(ADDED)
        assert (await expires.closed())[0] == 4403
        ada.token, token = here.services.tokens.issue_access(CustomerId(ada.id), session, soon), ada.token
        answer = await ada.http.post("/v1/auth/logout", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 204
        bearer = {"Authorization": f"Bearer {ben.token}"}
        assert (await ben.http.delete(f"/v1/auth/api-keys/{made.json()['id']}", headers=bearer)).status_code == 204
        assert [(await socket.closed())[0] for socket in (ends, revoked)] == [4403, 4403]
    assert time.monotonic() - begun < 10
    assert here.services.admission.streams == 0


@pytest.mark.parametrize(
    "token", ["forged", "rmk_aaaaaaaaaaaaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
)
async def test_a_bad_token_closes_the_socket_with_4403(here: Served, token: str) -> None:
    async with opened(here.socket_url) as socket:
        await socket.send(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        assert (await socket.closed())[0] == 4403


async def test_a_socket_says_who_it_is_before_anything_else_and_in_time(
    here: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_socket, "INIT_SECONDS", 0.2)
    async with opened(here.socket_url) as socket:
        await socket.subscribe(ADDED)
        assert (await socket.closed())[0] == 4401
    async with opened(here.socket_url) as socket:
        assert (await socket.closed())[0] == 4408


async def test_a_cookie_lets_in_a_page_of_ours_and_no_other(here: Served, ada: Person) -> None:
    cookie = f"{here.services.cookies.access}={ada.token}"
    for origin, code in ((here.url, None), ("https://evil.example", 4403)):
        async with opened(here.socket_url, Cookie=cookie, Origin=origin) as socket:
            await socket.send(type="connection_init", payload={})
            if code is None:
                assert (await socket.receive())["type"] == "connection_ack"
            else:
                assert (await socket.closed())[0] == code


@pytest.mark.parametrize("given", ["Bearer ", "Bearer", "bearer \t", ""])
async def test_an_empty_token_does_not_stand_for_the_cookie(here: Served, ada: Person, given: str) -> None:
    cookie = f"{here.services.cookies.access}={ada.token}"
    for origin in (here.url, "https://evil.example"):
        async with opened(here.socket_url, Cookie=cookie, Origin=origin) as socket:
            await socket.send(type="connection_init", payload={"Authorization": given})
            assert (await socket.closed())[0] == 4403


async def test_an_api_key_subscribes_by_its_scopes(here: Served, ada: Person) -> None:
    made = await ada.post(
        "/v1/auth/api-keys", {"name": "A shop", "scopes": ["notifications:read"], "password": PASSWORD}
    )
    async with signed_in(here.socket_url, made.json()["key"]) as socket:
        await socket.subscribe(CHANGED)
        refused = await socket.receive()
        assert refused["type"] == "error" or refused["payload"]["errors"]
        assert "accounts:read" in str(refused)


async def test_limits_of_a_socket_are_those_of_depth_aliases_operations_and_bytes(here: Served, ada: Person) -> None:
    async with signed_in(here.socket_url, ada.token) as socket:
        aliases = " ".join(f"a{number}: getNotifications {{ unread }}" for number in range(12))
        await socket.subscribe(f"{{ {aliases} }}", id_="aliases")
        assert "aliases" in str(await socket.receive())
        for number in range(graphql_socket.MOST_OPERATIONS):
            await socket.subscribe(ADDED, id_=f"s{number}")
        await socket.subscribe(ADDED, id_="one more")
        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("one more", "error")
        await socket.send(type="ping", payload={"padding": "x" * 70_000})
        assert (await socket.closed())[0] == 1009


async def test_a_customer_holds_so_many_streams_open_and_no_more(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_OF_A_CUSTOMER", 1)
    async with signed_in(here.socket_url, ada.token):
        async with opened(here.socket_url) as second:
            await second.send(type="connection_init", payload={"Authorization": f"Bearer {ada.token}"})
            assert (await second.closed())[0] == 1013
        assert (await ada.get("/v1/events/stream")).json()["code"] == "too_many_streams"


async def test_the_time_limits_of_requests_do_not_end_a_socket(
    here: Served, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 3)
    after = await cursor_now(here, ada)
    async with signed_in(here.socket_url, ada.token) as socket:
        await socket.subscribe(ADDED, after)
        assert await socket.is_silent(0.4)
        for _ in range(4):  # one of these takes the place of an idle connection, and not of the socket
            async with httpx.AsyncClient(base_url=here.url, trust_env=False) as other:
                assert (await other.get("/health")).status_code == 200
        await tell(here, ada, "still here")
        assert (await socket.next())["notification"]["occasion"] == "still here"


async def test_introspection_is_off_where_the_docs_are(settings: Settings, database: Database) -> None:
    async with (
        served(settings, database, docs=False) as closed,
        httpx.AsyncClient(base_url=closed.url, trust_env=False) as http,
    ):
        person = await register(http)
        for query in ("{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'):
            answer = await person.post("/graphql", {"query": query})
            assert "introspection" in answer.json()["errors"][0]["message"].lower()
        assert (await person.post("/graphql", {"query": "{ __typename }"})).json()["data"] == {"__typename": "Query"}


async def test_a_process_that_stops_closes_its_sockets_so_that_clients_come_again(
    settings: Settings, database: Database
) -> None:
    async with (
        served(settings, database) as stops,
        httpx.AsyncClient(base_url=stops.url, trust_env=False) as http,
    ):
        person = await register(http)
        async with signed_in(stops.socket_url, person.token) as socket:
            await socket.subscribe(ADDED, await cursor_now(stops, person))
            stops.services.hub.close()
            assert (await socket.closed())[0] == 1012


async def test_too_many_handshakes_of_one_address_are_refused(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> bool:
        return False

    monkeypatch.setattr(graphql_socket, "is_allowed", refuse)
    with pytest.raises(InvalidStatus) as refused:
        async with opened(here.socket_url):
            pass
    assert refused.value.response.status_code == 403
