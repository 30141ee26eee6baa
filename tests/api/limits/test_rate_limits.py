"""Requests too many are refused, whichever process they reach; what is under way stays bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from api.app import create_app
from api.limits.postgres import RateWindows
from api.limits.rate_limits import RateKey, RateLimits, RatePolicy
from api_services import compose_api
from customers.sign_ins.networks import trusted_networks
from database.connections import Database, Unavailable
from settings import Settings
from tests.api.people import Person, register, running_api
from tests.waiting import until

GENERAL, STRICT = RatePolicy("general", 100, 60), RatePolicy("strict", 20, 60)
# Half of a window, so that none ends meanwhile.
NOW = 1_000_000_050.0


def limits(database: Database, now: float = NOW) -> RateLimits:
    """The counts of one process."""
    return RateLimits(RateWindows(database), GENERAL, STRICT, clock=lambda: now)


async def allowed(process: RateLimits, policy: RatePolicy, tries: int) -> int:
    return sum([(await process.take(policy, "192.0.2.1")).taken for _ in range(tries)])


async def test_one_process_lets_exactly_the_limit_through_and_counts_anew_in_the_next_window(
    database: Database,
) -> None:
    assert await allowed(limits(database), GENERAL, 150) == GENERAL.hits
    assert await allowed(limits(database, NOW + GENERAL.seconds), GENERAL, 1) == 1


async def test_processes_count_together_up_to_a_tenth_of_the_limit_each(database: Database) -> None:
    first, second, third = limits(database), limits(database), limits(database)
    through = 0
    for _ in range(GENERAL.hits):
        for process in (first, second, third):
            through += await allowed(process, GENERAL, 1)
    assert GENERAL.hits <= through <= GENERAL.hits * 1.3
    late = limits(database)
    assert await allowed(late, GENERAL, 20) <= GENERAL.hits // 10


async def test_a_request_far_from_its_limit_costs_no_query(database: Database) -> None:
    added: list[dict[RateKey, int]] = []

    class Watched(RateWindows):
        async def add(self, hits: dict[RateKey, int]) -> dict[RateKey, int]:
            added.append(hits)
            return await super().add(hits)

    process = RateLimits(Watched(database), GENERAL, STRICT, clock=lambda: NOW)
    assert await allowed(process, GENERAL, 9) == 9
    assert added == []
    assert await allowed(process, GENERAL, 1) == 1
    assert [list(hits.values()) for hits in added] == [[10]]


async def test_without_postgresql_each_process_counts_alone(database: Database) -> None:
    class Away(RateWindows):
        async def add(self, hits: dict[RateKey, int]) -> dict[RateKey, int]:
            raise Unavailable("no answer")

    process = RateLimits(Away(database), GENERAL, STRICT, clock=lambda: NOW)
    with capture_logs() as logged:
        assert await allowed(process, GENERAL, 150) == GENERAL.hits
    assert {line["event"] for line in logged} == {"requests are counted by this process alone"}


@pytest.fixture
def narrow(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limit": 40, "strict_rate_limit": 10, "rate_window_seconds": 86_400})


@asynccontextmanager
async def seen_at(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Another process of the API, whose clients say where they are."""
    process = compose_api(settings, database, with_worker=False)
    app = create_app(process.services, docs=False, proxies=trusted_networks("127.0.0.1"))
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as http:
        yield http


async def test_an_address_that_has_used_its_window_up_is_told_when_the_next_begins(
    narrow: Settings, database: Database
) -> None:
    async with seen_at(narrow, database) as http:

        async def read(address: str) -> httpx.Response:
            return await http.get("/v1/currencies", headers={"X-Forwarded-For": address})

        answers = [await read("192.0.2.7") for _ in range(41)]
        assert [answer.status_code for answer in answers].count(200) == 40
        assert answers[0].headers["RateLimit-Policy"] == '"general";q=40;w=86400'
        assert answers[0].headers["RateLimit"].startswith('"general";r=39;t=')
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert 0 < int(refused.headers["Retry-After"]) <= 86_400
        assert refused.headers["RateLimit"].startswith('"general";r=0;')
        assert (await read("192.0.2.8")).status_code == 200
        assert (await http.get("/health", headers={"X-Forwarded-For": "192.0.2.7"})).status_code == 200


async def test_a_customer_meets_the_strict_limit_from_whatever_address(
    http: httpx.AsyncClient, narrow: Settings, database: Database
) -> None:
    ada = await register(http)
    guesses = {
        f"/v1/accounts/{ada.account_id}/deposits": {"amount": 0, "currency": "USD"},
        "/v1/customers/me/documents": {"type": "NIN", "number": "-"},
    }
    async with seen_at(narrow, database) as other:
        statuses = []
        for number in range(11):
            headers = {
                "Authorization": f"Bearer {ada.token}",
                "X-Forwarded-For": f"192.0.2.{number}",
                "Idempotency-Key": f"key {number}",
            }
            path = list(guesses)[number % 2]
            answer = await other.post(path, json=guesses[path], headers=headers)
            statuses.append(answer.status_code)
    assert statuses == [422] * 10 + [429]


async def test_transfers_in_flight_are_limited_and_repeats_are_still_answered(
    settings: Settings, database: Database
) -> None:
    bounded = settings.model_copy(update={"transfers_in_flight": 3})
    async with running_api(settings, database) as http:
        ada, ben = await register(http), await register(http, full_name="Ben Sow")
        await ada.deposit(10_000)
    async with running_api(bounded, database, worker=False) as http:
        payer = Person(http, ada.id, ada.account_id, ada.token, ada.email)
        accepted = [await payer.pay(ben, 100, key=f"key {number}", prefer="wait=0") for number in range(3)]
        assert [answer.status_code for answer in accepted] == [202] * 3
        refused = await payer.pay(ben, 100, key="one more", prefer="wait=0")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_in_flight")
        assert int(refused.headers["Retry-After"]) > 0
        repeated = await payer.pay(ben, 100, key="key 0", prefer="wait=0")
        assert repeated.status_code == 202
        assert repeated.headers["Idempotent-Replayed"] == "true"
        async with running_api(settings, database):

            async def goes_through() -> bool:
                return (await payer.pay(ben, 100, key="one more", prefer="wait=0")).status_code in (201, 202)

            await until(goes_through, "the transfers in flight have ended")
