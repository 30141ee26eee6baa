"""API and worker share a client, as in `remit run`."""

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest

from devenv.temporal import Temporal
from ledger.postgres.database import Database
from settings import Settings
from tests.api.people import Person, register, running_api


@pytest.fixture
def settings(database_url: str, temporal: Temporal) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url,
            "temporal_address": temporal.address,
            "jwt_secret": secrets.token_hex(32),
            "sandbox_rails": True,
            "task_queue": f"test-{secrets.token_hex(6)}",
        }
    )


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with running_api(settings, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    """A customer with 500.00 USD."""
    person = await register(http)
    await person.deposit(50_000)
    return person


@pytest.fixture
async def ben(http: httpx.AsyncClient) -> Person:
    """A customer with nothing yet."""
    return await register(http, full_name="Ben Sow")
