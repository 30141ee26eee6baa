"""Who guesses passwords is slowed down; who registers a lot at once is told to come again."""

import asyncio
from contextlib import suppress

import anyio
import httpx
import pytest

from api.auth import login_limits as attempts
from api.auth import passwords
from api.auth.login_limits import FAILURES_PER_ADDRESS, FAILURES_PER_EMAIL, KEYS, WITHIN_SECONDS, LoginLimits, Window
from api.http.problems import Problem
from tests.api.people import PASSWORD, register, registration
from tests.waiting import until


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(login_limits: LoginLimits, email: str | None, client: str) -> str:
    """The code that a failed attempt ends with."""
    try:
        with login_limits.sign_in(email, client):
            turn_away()
    except Problem as problem:
        return problem.code
    return ""


def turn_away() -> None:
    raise Problem("credentials_invalid")


async def test_the_eleventh_failed_login_to_an_address_is_not_tried(http: httpx.AsyncClient) -> None:
    ada, ben = await register(http), await register(http)
    for _ in range(FAILURES_PER_EMAIL):
        wrong = await http.post("/v1/auth/login", json={"email": ada.email, "password": "something else"})
        assert wrong.status_code == 401
    for email in (ada.email, ada.email.upper()):
        answer = await http.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
        assert 0 < int(answer.headers["Retry-After"]) <= WITHIN_SECONDS
    other = await http.post("/v1/auth/login", json={"email": ben.email, "password": PASSWORD})
    assert other.status_code == 200


async def test_logins_that_succeed_are_not_counted(http: httpx.AsyncClient) -> None:
    ada = await register(http)
    for _ in range(FAILURES_PER_EMAIL + 2):
        answer = await http.post("/v1/auth/login", json={"email": ada.email, "password": PASSWORD})
        assert answer.status_code == 200


def test_an_address_of_a_client_has_its_own_limit_whomever_it_tries() -> None:
    login_limits = LoginLimits(Clock())
    for n in range(FAILURES_PER_ADDRESS):
        assert fail(login_limits, f"{n}@example.com" if n % 2 else None, "192.0.2.1") == "credentials_invalid"
    assert fail(login_limits, "more@example.com", "192.0.2.1") == "too_many_attempts"
    assert fail(login_limits, "more@example.com", "192.0.2.2") == "credentials_invalid"


def test_the_addresses_of_an_ipv6_network_count_as_one() -> None:
    login_limits = LoginLimits(Clock())
    for n in range(FAILURES_PER_ADDRESS):
        fail(login_limits, None, f"2001:db8::{n:x}")
    assert fail(login_limits, None, "2001:db8::ffff:1") == "too_many_attempts"
    assert fail(login_limits, None, "2001:db8:0:1::1") == "credentials_invalid"


def test_failures_are_forgotten_after_their_time_one_by_one() -> None:
    clock = Clock()
    login_limits = LoginLimits(clock)
    for _ in range(FAILURES_PER_EMAIL):
        fail(login_limits, "ada@example.com", "192.0.2.1")
        clock.now += 10
    with pytest.raises(Problem) as refused, login_limits.sign_in("ada@example.com", "192.0.2.1"):
        pass
    assert refused.value.headers["Retry-After"] == str(WITHIN_SECONDS - 10 * FAILURES_PER_EMAIL)
    clock.now += WITHIN_SECONDS - 10 * FAILURES_PER_EMAIL
    assert fail(login_limits, "ada@example.com", "192.0.2.1") == "credentials_invalid"
    assert fail(login_limits, "ada@example.com", "192.0.2.1") == "too_many_attempts"


def test_attempts_at_once_are_no_way_around_the_limit_and_a_lost_database_counts_for_nobody() -> None:
    login_limits = LoginLimits(Clock())
    started = [login_limits.sign_in("ada@example.com", "192.0.2.1") for _ in range(FAILURES_PER_EMAIL)]
    for attempt in started:
        attempt.__enter__()
    assert fail(login_limits, "ada@example.com", "192.0.2.1") == "too_many_attempts"
    for attempt in started:
        with suppress(ConnectionError):
            attempt.__exit__(ConnectionError, ConnectionError(), None)
    assert fail(login_limits, "ada@example.com", "192.0.2.1") == "credentials_invalid"


def test_the_number_of_remembered_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEYS >= 1000
    monkeypatch.setattr(attempts, "KEYS", 3)
    window = Window(1, Clock())
    for key in ("a", "b", "c", "d"):
        window.note(key)
    assert [key for key in ("a", "b", "c", "d") if window.seconds_to_wait(key)] == ["b", "c", "d"]


async def test_registrations_beyond_the_queue_are_told_to_come_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing = anyio.CapacityLimiter(1)
    monkeypatch.setattr(passwords, "_HASHING", hashing)
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    await hashing.acquire_on_behalf_of("the test")
    waiting = [asyncio.create_task(http.post("/v1/auth/register", json=registration())) for _ in range(3)]

    async def all_wait() -> bool:
        return hashing.statistics().tasks_waiting == 3

    await until(all_wait, "three registrations wait for their hash")
    refused = await http.post("/v1/auth/register", json=registration())
    assert (refused.status_code, refused.json()["code"]) == (503, "too_busy")
    assert int(refused.headers["Retry-After"]) > 0
    hashing.release_on_behalf_of("the test")
    assert {(await answer).status_code for answer in waiting} == {201}
    assert (await http.post("/v1/auth/register", json=registration())).status_code == 201
