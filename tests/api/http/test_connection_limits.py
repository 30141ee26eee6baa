"""What one anonymous client may take of a real HTTP server, and that it stalls nobody else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from api.http import connection_limits
from api.http.connection_limits import LimitedConnection
from api.http.middleware import LONG_BODIES
from api_services import compose_api
from database.connections import Database
from devenv.processes.ports import free_port
from serve import http_server
from settings import Settings
from tests.api.people import registration
from tests.waiting import until

# Those of load balancers of the large clouds, and of proxies that nobody has set up otherwise.
LONGEST_IN_POOLS_SECONDS = 60

HEAD = b"POST /v1/auth/login HTTP/1.1\r\nHost: remit.test\r\nContent-Type: application/json\r\n"


class Client:
    """A connection that sends whatever bytes a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def refusal(self, seconds: float = 5) -> httpx.Response:
        """The one problem that comes before the server closes the connection."""
        async with asyncio.timeout(seconds):
            head = await self._reader.readuntil(b"\r\n\r\n")
            body = await self._reader.read()
        first, *lines = head.decode().strip().split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        return httpx.Response(int(first.split()[1]), headers=headers, content=body)

    async def answers(self, seconds: float = 5) -> tuple[int, str]:
        """Status and code of that problem."""
        found = await self.refusal(seconds)
        return found.status_code, found.json()["code"]

    async def ok(self, seconds: float = 5) -> None:
        """The next answer is that of `GET /health`, and the connection stays open."""
        async with asyncio.timeout(seconds):
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert await self._reader.readexactly(len(b'{"status":"ok"}')) == b'{"status":"ok"}'

    async def is_closed(self, seconds: float = 5) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while await self._reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    async def head(self, seconds: float = 5) -> None:
        """Read the head of an answer."""
        async with asyncio.timeout(seconds):
            await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self, seconds: float = 5) -> bytes:
        """What comes before the server closes the connection."""
        received = b""
        try:
            async with asyncio.timeout(seconds):
                while part := await self._reader.read(65_536):
                    received += part
        except ConnectionError:
            pass
        return received

    def close(self) -> None:
        self._writer.close()


class Served:
    """The API on a port of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.clients: list[Client] = []
        self.connections: set[Any] = set()

    async def connect(self, data: bytes = b"") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        client.send(data)
        return client

    async def health_seconds(self) -> float:
        began = time.monotonic()
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            assert (await http.get("/health")).status_code == 200
        return time.monotonic() - began


@asynccontextmanager
async def served(settings: Settings, database: Database) -> AsyncIterator[Served]:
    async with serving(create_app(compose_api(settings, database, with_worker=False).services, docs=False)) as found:
        yield found


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[Served]:
    port = free_port()
    server = http_server(app, "127.0.0.1", port)
    found = Served(port)
    found.connections = server.server_state.connections
    running = asyncio.create_task(server.serve())
    try:

        async def has_started() -> bool:
            return server.started

        await until(has_started, "the server has started")
        yield found
    finally:
        for client in found.clients:
            client.close()
        server.should_exit = True
        await running


async def test_a_refusal_by_the_parser_is_a_problem_with_the_headers_of_every_answer(api: Served) -> None:
    refused = await (await api.connect(b"no HTTP\r\n\r\n")).refusal()
    assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/problem+json")
    assert refused.json()["instance"] == f"urn:remit:request:{refused.headers['Request-Id']}"
    assert (refused.headers["Cache-Control"], refused.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


@pytest.fixture
async def api(settings: Settings, database: Database) -> AsyncIterator[Served]:
    async with served(settings, database) as api:
        yield api


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", (414, "uri_too_long")),
        (b"GET /" + b"x" * 100_000, (414, "uri_too_long")),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", (431, "headers_too_large")),
        (b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 9_000 + b"\r\n", (431, "headers_too_large")),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17_000, (431, "headers_too_large")),
        (HEAD + b"Content-Length: 10000000000\r\n\r\n", (413, "body_too_large")),
        (HEAD + b"Content-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n", (413, "body_too_large")),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 2_000_000, (413, "body_too_large")),
        (b"HELLO\r\n\r\n", (400, "request_malformed")),
    ],
    ids=["url", "endless url", "header", "headers", "endless header", "length", "expected", "chunk", "malformed"],
)
async def test_too_many_bytes_are_refused_at_once(api: Served, data: bytes, refusal: tuple[int, str]) -> None:
    client = await api.connect(data)
    assert await client.answers(seconds=2) == refusal


async def test_a_batch_may_be_as_long_as_four_megabytes_and_a_stranger_learns_only_to_sign_in(api: Served) -> None:
    size = LONG_BODIES["/v1/batches"]
    head = HEAD.replace(b"/v1/auth/login", b"/v1/batches")
    longest = await api.connect(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size + b" " * size)
    too_long = await api.connect(head + b"Content-Length: %d\r\n\r\n" % (size + 1))
    assert await longest.answers(seconds=10) == (401, "not_authenticated"), "it was read to its end"
    assert await too_long.answers(seconds=2) == (413, "body_too_large")


async def test_sixty_megabytes_of_headers_stall_nobody(api: Served) -> None:
    async def flood() -> None:
        client = await api.connect(b"GET /health HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(60):
            client.send(b"x" * 1_000_000)
            await asyncio.sleep(0)
        assert await client.is_closed()

    flooding = asyncio.create_task(flood())
    slowest = max([await api.health_seconds() for _ in range(20)])
    await flooding
    assert slowest < 2


async def test_idle_and_slow_connections_are_closed(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connection_limits, "BODY_SECONDS", 0.5)
    idle = [await api.connect() for _ in range(20)]
    blank = [await api.connect(b"\r\n") for _ in range(20)]
    slow_heads = [await api.connect(HEAD) for _ in range(20)]
    slow_bodies = [await api.connect(HEAD + b"Content-Length: 100\r\n\r\n{") for _ in range(20)]
    endless = [await api.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n") for _ in range(20)]

    async def drip() -> None:
        while True:
            await asyncio.sleep(0.1)
            for client in blank:
                client.send(b"\r\n")
            for client in slow_heads:
                client.send(b"X: y\r\n")
            for client in slow_bodies:
                client.send(b" ")
            for client in endless:
                client.send(b"1\r\n \r\n")

    dripping = asyncio.create_task(drip())
    try:
        for client in [*slow_heads, *slow_bodies, *endless]:
            assert await client.answers(seconds=3) == (408, "request_too_slow")
        assert all([await client.is_closed(3) for client in [*idle, *blank]])
    finally:
        dripping.cancel()


async def test_a_new_connection_takes_the_place_of_the_one_that_has_waited_longest(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 10)
    waiting = [await api.connect(HEAD) for _ in range(10)]
    assert await api.health_seconds() < 5
    assert await waiting[0].is_closed()
    assert not await waiting[9].is_closed(0.2)
    assert max([await api.health_seconds() for _ in range(5)]) < 5


async def test_the_connection_that_has_waited_longest_is_found_without_a_look_at_all_others(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    own = vars(LimitedConnection)["is_waiting"]

    def is_waiting(connection: LimitedConnection) -> bool:
        nonlocal looked_at
        looked_at += 1
        return bool(own.__get__(connection))

    monkeypatch.setattr(LimitedConnection, "is_waiting", property(is_waiting))
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 100)
    waiting = [await api.connect(HEAD) for _ in range(100)]

    async def are_all_there() -> bool:
        return len(api.connections) == 100

    await until(are_all_there, "all are connected")
    for _ in range(20):
        await api.connect(HEAD)
    assert all([await client.is_closed() for client in waiting[:20]])
    assert not await waiting[20].is_closed(0.1)
    assert looked_at == 20


async def test_a_connection_that_answers_is_not_closed_for_another_and_waits_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 2)
    may_answer = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(slow) as api:
        try:
            busy = await api.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

            async def is_busy() -> bool:
                return any(not each.is_waiting for each in api.connections)

            await until(is_busy, "the request is being answered")
            idle = await api.connect(HEAD)
            second = await api.connect(HEAD)
            assert await idle.is_closed()
        finally:
            may_answer.set()
        await busy.head()
        third = await api.connect(HEAD)
        assert await second.is_closed()
        await api.connect(HEAD)
        assert await busy.is_closed(), "it has waited longer than the third"
        assert not await third.is_closed(0.1)


async def test_a_client_that_stops_in_a_body_that_came_with_its_head_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_limits, "BODY_SECONDS", 0.3)

    async def read_all(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    async with serving(read_all) as api:
        client = await api.connect()

        async def is_connected() -> bool:
            return bool(api.connections)

        await until(is_connected, "the server reads the rest in one piece")
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + b"x" * 100_000)
        assert await client.answers(seconds=3) == (408, "request_too_slow")


async def test_requests_in_turn_and_at_once_are_answered_on_one_connection(api: Served) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    client = await api.connect(request)
    await client.ok()
    client.send(request + request)
    await client.ok()
    await client.ok()
    for part in (request[:10], request[10:]):
        client.send(part)
        await asyncio.sleep(0.05)
    await client.ok()


async def test_a_body_in_chunks_is_read(api: Served) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for byte in json.dumps(registration(currency="nonsense")).encode():
            yield bytes([byte])

    async with httpx.AsyncClient(base_url=api.url, trust_env=False) as http:
        answer = await http.post("/v1/auth/register", content=parts(), headers={"Content-Type": "application/json"})
    assert [error["field"] for error in answer.json()["errors"]] == ["body.currency"]


async def test_thousands_of_unknown_fields_are_answered_briefly_and_stall_nobody(api: Served) -> None:
    body = json.dumps({f"unknown_{number}": number for number in range(3_000)})
    async with httpx.AsyncClient(base_url=api.url, trust_env=False) as http:
        began = time.process_time()
        answers = [
            await http.post("/v1/auth/register", content=body, headers={"Content-Type": "application/json"})
            for _ in range(10)
        ]
        spent = time.process_time() - began
    assert {answer.status_code for answer in answers} == {422}
    assert max(len(answer.content) for answer in answers) < 1_000
    # With client and server in one process; the errors alone took 0.2 s for each answer.
    assert spent / len(answers) < 0.05


async def test_a_problem_lists_at_most_twenty_fields_and_no_long_text(api: Served) -> None:
    unknown = {f"{number}{'x' * 2_000}": number for number in range(20)}
    async with httpx.AsyncClient(base_url=api.url, trust_env=False) as http:
        answer = await http.post("/v1/auth/register", json=registration(currency="nonsense") | unknown)
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 20_000


@pytest.mark.parametrize(
    "after",
    [[b"P", b"O"], [b"no HTTP\r\n\r\n"]],
    ids=["part of a request", "stray bytes"],
)
async def test_bytes_after_a_whole_request_are_never_answered_as_that_request(
    monkeypatch: pytest.MonkeyPatch, after: list[bytes]
) -> None:
    monkeypatch.setattr(connection_limits, "HEAD_SECONDS", 0.3)
    has_begun, may_answer = asyncio.Event(), asyncio.Event()

    async def transfers(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        has_begun.set()
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(transfers) as api:
        try:
            client = await api.connect(b"POST /v1/transfers HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            await has_begun.wait()
            for part in after:
                client.send(part)
                await asyncio.sleep(0.05)  # so that the server reads each by itself
            assert await client.rest() == b""
        finally:
            may_answer.set()


async def test_an_idle_connection_outlives_those_of_the_pools_of_proxies_and_clients(api: Served) -> None:
    client = await api.connect(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.ok()
    (connection,) = api.connections
    closes = connection.timeout_keep_alive_task
    assert closes is not None
    assert closes.when() - asyncio.get_running_loop().time() > LONGEST_IN_POOLS_SECONDS


async def test_a_client_that_does_not_read_its_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "READ_SECONDS", 0.6)
    has_begun = asyncio.Event()

    async def long_answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        has_begun.set()
        for _ in range(300):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await send({"type": "http.response.body"})

    async with serving(long_answer) as api:
        client = await api.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await has_begun.wait()

        async def is_closed() -> bool:
            return not api.connections

        try:
            await until(is_closed, "the server has closed the connection", seconds=3)
        finally:
            client.close()

        patient = await api.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not await patient.is_closed(1.2)


async def test_a_client_that_sends_many_requests_before_it_reads_is_closed(api: Served) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    some = await api.connect(request * 10)
    for _ in range(10):
        await some.ok()
    assert (await (await api.connect(request * 1_000)).rest()).count(b"HTTP/1.1 ") < 1_000


@pytest.mark.parametrize("body", [b"{}", b"{"], ids=["whole", "in part"])
async def test_a_request_answered_before_its_body_gets_one_answer_and_its_connection_closes(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(connection_limits, "BODY_SECONDS", 0.5)

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(refuse) as api:
        client = await api.connect(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        await client.head()
        for each in api.connections:
            each.timeout_keep_alive = 0.3
        client.send(body)
        assert await client.rest() == b""
