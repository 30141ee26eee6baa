"""The API while the network to PostgreSQL or to Temporal is silent, and once it is back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from database.connections import REQUESTS, Database
from settings import Settings
from tests.api.people import Person, register, running_api
from tests.silent_network import Network, network_to

ANSWERED_SECONDS = 5
WELL_SECONDS = 15


@asynccontextmanager
async def behind(settings: Settings, **changes: object) -> AsyncIterator[httpx.AsyncClient]:
    there = settings.model_copy(update=changes)
    assert there.database_url is not None
    async with Database(there.database_url, 20, limits=REQUESTS) as database, running_api(there, database) as http:
        yield http


@pytest.fixture
async def to_postgresql(settings: Settings) -> AsyncIterator[tuple[Network, httpx.AsyncClient]]:
    assert settings.database_url is not None
    parts = urlsplit(settings.database_url)
    assert parts.port is not None
    async with network_to(parts.port) as network:
        url = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{network.address}"))
        async with behind(settings, database_url=url) as http:
            yield network, http


@pytest.fixture
async def to_temporal(settings: Settings) -> AsyncIterator[tuple[Network, httpx.AsyncClient]]:
    assert settings.temporal_address is not None
    port = int(settings.temporal_address.rpartition(":")[2])
    async with network_to(port) as network, behind(settings, temporal_address=network.address) as http:
        yield network, http


async def is_refused_in_time(payer: Person, payee: Person, key: str, code: str) -> None:
    began = time.monotonic()
    answer = await payer.pay(payee, 100, key)
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - began < ANSWERED_SECONDS


async def is_well_in_time(payer: Person, payee: Person, key: str) -> None:
    """One client repeats its request until it is accepted."""
    async with asyncio.timeout(WELL_SECONDS):
        while (answer := await payer.pay(payee, 100, key, prefer="wait=30")).status_code == 503:
            pass
    assert (answer.status_code, answer.json()["state"]) == (201, "completed")


@pytest.mark.usefixtures("database")
async def test_while_postgresql_is_silent_requests_get_503_in_time_and_soon_after_all_is_well(
    to_postgresql: tuple[Network, httpx.AsyncClient],
) -> None:
    network, http = to_postgresql
    ada, ben = await register(http), await register(http)
    await ada.deposit(50_000)
    await asyncio.gather(*(ada.get("/v1/accounts") for _ in range(30)))
    network.fall_silent()
    await asyncio.gather(*(is_refused_in_time(ada, ben, f"{n}", "database_unavailable") for n in range(5)))
    network.come_back()
    await is_well_in_time(ada, ben, "0")
    network.kill_connections()
    await is_well_in_time(ada, ben, "1")
    assert await ben.balance() == 200


@pytest.mark.usefixtures("database")
async def test_while_temporal_is_silent_requests_get_503_in_time_and_soon_after_all_is_well(
    to_temporal: tuple[Network, httpx.AsyncClient],
) -> None:
    network, http = to_temporal
    ada, ben = await register(http), await register(http)
    await ada.deposit(50_000)
    network.fall_silent()
    await asyncio.gather(*(is_refused_in_time(ada, ben, f"{n}", "temporal_unavailable") for n in range(5)))
    network.come_back()
    await is_well_in_time(ada, ben, "0")
    network.kill_connections()
    await is_well_in_time(ada, ben, "1")
    assert await ben.balance() == 200
