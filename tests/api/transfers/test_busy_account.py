"""Many transfers wait for one account that somebody holds: others do not notice.

Measured once the burst is taken, when each of its transfers has made its first tries and only waits: before that,
whoever comes behind 2,000 others waits for those. The long ones measure until all have asked for attention, and need a
machine that does nothing else.
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from database.connections import REQUESTS, Database
from settings import Settings
from tests.api.people import Person, register, running_api
from tests.connections import Connection
from tests.waiting import until

# What others may notice, as a ratio: on a machine that does nothing else, and on one that runs other tests, too.
MOST_TIMES_QUIET = 3
MOST_TIMES_QUIET_BESIDE_TESTS = 10
LEAST_QUIET_SECONDS = 0.02


@pytest.fixture
async def http(settings: Settings, database_url: str, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """As it is served: with the limits of requests."""
    async with Database(database_url, 20, limits=REQUESTS) as requests, running_api(settings, requests) as http:
        yield http


@asynccontextmanager
async def held(owner: Connection, person: Person) -> AsyncIterator[None]:
    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", person.account_id)
        yield


async def median_seconds(payer: Person, payee: Person, transfers: int) -> float:
    """The time from request to final state, one after the other."""
    seconds = []
    for _ in range(transfers):
        began = time.perf_counter()
        transfer = await payer.paid(payee, 1)
        seconds.append(time.perf_counter() - began)
        assert transfer["state"] == "completed"
    return statistics.median(seconds)


async def median_within(payer: Person, payee: Person, seconds: float) -> float:
    """The same of those that are sent within this time, and of five at least."""
    found: list[float] = []
    until_then = time.monotonic() + seconds
    while len(found) < 5 or time.monotonic() < until_then:
        found.append(await median_seconds(payer, payee, 1))
    return statistics.median(found)


async def send(payer: Person, payee: Person, transfers: int) -> None:
    """Send them, 30 at a time, and repeat under its key what a busy service answers with 503."""
    turns = asyncio.Semaphore(30)

    async def one() -> None:
        key = secrets.token_hex(8)

        async def is_accepted() -> bool:
            answer = await payer.pay(payee, 1, key=key, prefer="wait=0")
            if answer.status_code == 503:
                await asyncio.sleep(float(answer.headers["Retry-After"]))
            assert answer.status_code in (202, 503), answer.text
            return answer.status_code == 202

        async with turns:
            await until(is_accepted, "the transfer is accepted", 120)

    await asyncio.gather(*(one() for _ in range(transfers)))


async def all_wait(owner: Connection, payer: Person, transfers: int, side: str) -> None:
    """Wait until the worker has taken them all: each has its row, and waits for the held account."""
    count = "SELECT count(*) FROM transfers WHERE source_account_id = $1 AND state = $2"
    state = "initiated" if side == "payer" else "debited"

    async def is_so() -> bool:
        return bool(await owner.fetchval(count, payer.account_id, state) == transfers)

    await until(is_so, f"{transfers} transfers are {state} and wait", 150)


LONG = [pytest.mark.long, pytest.mark.timeout(600)]

# A step asks for attention after one to two minutes.
ALL_HAVE_ASKED_SECONDS = 130


@pytest.mark.parametrize(
    ("side", "transfers", "most", "seconds"),
    [
        ("payer", 50, MOST_TIMES_QUIET_BESIDE_TESTS, 0),
        pytest.param("payer", 2_000, MOST_TIMES_QUIET, ALL_HAVE_ASKED_SECONDS, marks=LONG),
        pytest.param("payee", 2_000, MOST_TIMES_QUIET, ALL_HAVE_ASKED_SECONDS, marks=LONG),
    ],
)
async def test_others_hardly_notice_the_transfers_that_wait_for_one_held_account(
    http: httpx.AsyncClient, ada: Person, owner: Connection, side: str, transfers: int, most: int, seconds: float
) -> None:
    ben, carol, dora = [await register(http) for _ in range(3)]
    await carol.deposit(50_000)
    quiet = max(await median_seconds(carol, dora, 20), LEAST_QUIET_SECONDS)
    async with held(owner, ada if side == "payer" else ben):
        await send(ada, ben, transfers)
        await all_wait(owner, ada, transfers, side)

        async def only_waits() -> bool:
            return await median_seconds(carol, dora, 5) < most * quiet

        await until(only_waits, "the first tries of the burst are over", 120)
        busy = await median_within(carol, dora, seconds)
    print(f"{transfers} wait: {busy * 1_000:.0f} ms instead of {quiet * 1_000:.0f}")
    assert busy < most * quiet
    began = time.monotonic()
    assert (await ada.paid(ben, 1))["state"] == "completed"
    assert time.monotonic() - began < 10  # the account is served again
