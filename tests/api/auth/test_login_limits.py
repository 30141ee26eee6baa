"""Who guesses passwords is slowed down, and nobody else; who hashes a lot at once leaves turns for others."""

import asyncio
import os
import threading

import httpx
import pytest

from api.app import create_app
from api.auth import hash_queue, passwords
from api.auth.hash_queue import WAITING_PER_CLIENT, HashQueue
from api.http.problems import Problem
from api_services import compose_api
from customers.sign_ins.backoff import FREE_FAILURES, account_named
from customers.sign_ins.networks import client_at, trusted_networks
from customers.sign_ins.postgres import SignInAttempt, SignIns
from database.connections import Database
from settings import Settings
from tests.api.people import PASSWORD, Person, register, registration
from tests.waiting import until

LOGIN = "/v1/auth/login"


async def sign_in(http: httpx.AsyncClient, person: Person, password: str, at: str = "192.0.2.1") -> httpx.Response:
    headers = {"X-Forwarded-For": at}
    return await http.post(LOGIN, json={"email": person.email, "password": password}, headers=headers)


def behind_a_proxy(settings: Settings, database: Database, proxies: str, peer: str) -> httpx.AsyncClient:
    app = create_app(
        compose_api(settings, database, with_worker=False).services, docs=False, proxies=trusted_networks(proxies)
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://remit.test", timeout=60)


async def test_ten_wrong_passwords_from_elsewhere_keep_nobody_out(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    ada, ben = await register(http), await register(http)
    async with behind_a_proxy(settings, database, "10.0.0.0/8", "::ffff:10.1.2.3") as proxied:
        statuses = [(await sign_in(proxied, ada, "something else")).status_code for _ in range(FREE_FAILURES + 1)]
        assert set(statuses) == {401}
        guessed = SignInAttempt(client_at("192.0.2.1"), account_named(ada.email))
        for _ in range(5):
            await SignIns(database).record_failure(guessed, None)
        refused = await sign_in(proxied, ada, PASSWORD)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
        assert 20 < int(refused.headers["Retry-After"]) <= 32
        assert (await sign_in(proxied, ada, PASSWORD, at="192.0.2.2")).status_code == 200
        assert (await sign_in(proxied, ben, PASSWORD)).status_code == 200


async def test_who_is_no_trusted_proxy_chooses_no_address(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    ada = await register(http)
    async with behind_a_proxy(settings, database, "10.0.0.0/8", "203.0.113.9") as stranger:
        statuses = [(await sign_in(stranger, ada, "wrong one", at=f"192.0.2.{n}")).status_code for n in range(20)]
    assert 429 in statuses


async def test_many_correct_logins_at_once_are_all_let_in(http: httpx.AsyncClient) -> None:
    ada = await register(http)
    answers = await asyncio.gather(*(sign_in(http, ada, PASSWORD) for _ in range(15)))
    assert {answer.status_code for answer in answers} == {200}


async def test_many_wrong_logins_at_once_are_no_way_around_the_wait(http: httpx.AsyncClient) -> None:
    ada = await register(http)
    answers = await asyncio.gather(*(sign_in(http, ada, f"wrong {n}") for n in range(15)))
    tried = [answer.status_code for answer in answers].count(401)
    assert tried <= FREE_FAILURES + 2


async def test_a_login_needs_no_turn_of_those_who_register(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await register(http)
    registrations = HashQueue(1)
    monkeypatch.setattr(passwords, "_REGISTRATIONS", registrations)
    async with registrations.turn("the test"):
        waiting = [asyncio.create_task(http.post("/v1/auth/register", json=registration())) for _ in range(3)]

        async def all_wait() -> bool:
            return registrations.waiting == 3

        await until(all_wait, "three registrations wait for their hash")
        assert (await sign_in(http, ada, PASSWORD)).status_code == 200
    assert {(await answer).status_code for answer in waiting} == {201}


async def test_registrations_beyond_the_queue_are_told_to_come_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrations = HashQueue(1)
    monkeypatch.setattr(passwords, "_REGISTRATIONS", registrations)
    monkeypatch.setattr(hash_queue, "WAITING_PER_CLIENT", 2)
    async with registrations.turn("the test"):
        waiting = [asyncio.create_task(http.post("/v1/auth/register", json=registration())) for _ in range(2)]

        async def both_wait() -> bool:
            return registrations.waiting == 2

        await until(both_wait, "two registrations wait for their hash")
        refused = await http.post("/v1/auth/register", json=registration())
        assert (refused.status_code, refused.json()["code"]) == (503, "too_busy")
        assert int(refused.headers["Retry-After"]) > 0
    assert {(await answer).status_code for answer in waiting} == {201}


async def test_who_has_waited_long_for_a_turn_is_told_to_come_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, queue = await register(http), HashQueue(1)
    monkeypatch.setattr(passwords, "_SIGN_INS", queue)
    assert hash_queue.WAITING_SECONDS < 3
    monkeypatch.setattr(hash_queue, "WAITING_SECONDS", 0.05)
    async with queue.turn("the test"):
        refused = await sign_in(http, ada, PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (503, "too_busy")
    assert int(refused.headers["Retry-After"]) > 0
    assert queue.waiting == 0
    assert (await sign_in(http, ada, PASSWORD)).status_code == 200


async def test_clients_take_turns_however_many_requests_one_of_them_sends() -> None:
    queue, order = HashQueue(1), []

    async def hashed(client: str) -> None:
        async with queue.turn(client):
            order.append(client)

    async with queue.turn("first"):
        many = [asyncio.create_task(hashed("many")) for _ in range(WAITING_PER_CLIENT)]
        await asyncio.sleep(0)
        one = asyncio.create_task(hashed("one"))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="too_busy"):
            await hashed("many")
        many[3].cancel()
    await asyncio.gather(one, *many, return_exceptions=True)
    assert order.index("one") == 1
    assert order.count("many") == WAITING_PER_CLIENT - 1
    async with asyncio.timeout(1):
        await hashed("afterwards")


async def test_a_newcomer_to_a_full_queue_takes_the_last_place_of_who_has_the_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hash_queue, "WAITING", 4)
    queue, order = HashQueue(1), []

    async def hashed(client: str) -> None:
        async with queue.turn(client):
            order.append(client)

    async with queue.turn("first"):
        many = [asyncio.create_task(hashed("many")) for _ in range(3)]
        others = [asyncio.create_task(hashed(name)) for name in ("one", "two")]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="too_busy"):
            await many[2]
        three = asyncio.create_task(hashed("three"))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="too_busy"):
            await many[1]
        with pytest.raises(Problem, match="too_busy"):
            await hashed("four")
    await asyncio.gather(many[0], *others, three)
    assert order == ["many", "one", "two", "three"]
    async with asyncio.timeout(1):
        await hashed("afterwards")


async def test_the_networks_of_one_ipv6_site_share_their_turns_at_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = HashQueue(1)
    monkeypatch.setattr(passwords, "_REGISTRATIONS", queue)
    monkeypatch.setattr(hash_queue, "WAITING_PER_CLIENT", 1)
    async with queue.turn("the test"):
        waiting = asyncio.create_task(passwords.hash_password(PASSWORD, client_at("2001:db8:0:1::1")))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="too_busy"):
            await passwords.hash_password(PASSWORD, client_at("2001:db8:0:2::1"))
    assert await waiting


@pytest.mark.parametrize("of_both", ["192.0.2.7:{}", "[2001:db8::7]:{}"])
async def test_a_port_that_a_proxy_sends_along_makes_no_other_client(
    http: httpx.AsyncClient, settings: Settings, database: Database, of_both: str
) -> None:
    ada = await register(http)
    async with behind_a_proxy(settings, database, "10.0.0.0/8", "10.0.0.1") as proxy:
        statuses = [
            (await sign_in(proxy, ada, "wrong one", at=of_both.format(50_000 + n))).status_code
            for n in range(FREE_FAILURES + 2)
        ]
    assert statuses == [401] * (FREE_FAILURES + 1) + [429]


async def test_hashes_give_way_to_everything_else() -> None:
    password_hash = await passwords.hash_password(PASSWORD, client_at("192.0.2.1"))
    assert password_hash.startswith("$argon2id$")

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = niceness()
    theirs = await asyncio.get_running_loop().run_in_executor(passwords._THREADS, niceness)  # noqa: SLF001
    assert theirs > mine
