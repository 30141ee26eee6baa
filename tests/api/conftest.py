"""API and worker share a client, as in `remit run`."""

import secrets
from collections.abc import AsyncIterator, Iterator

import argon2
import httpx
import pytest

from api.auth import passwords
from database.connections import Database
from devenv.servers.temporal_server import TemporalServer
from settings import Settings
from staff.postgres.operators import Operators
from tests.api.people import Person, register, running_api


@pytest.fixture(autouse=True, scope="session")
def quick_hashes() -> Iterator[None]:
    """Passwords are hashed with the cheapest parameters: nearly every test registers somebody."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_HASHER", cheap)
        yield


@pytest.fixture
def settings(database_url: str, temporal: TemporalServer) -> Settings:
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


@pytest.fixture
async def admin(http: httpx.AsyncClient, database: Database) -> Person:
    """Who may do everything that staff may."""
    person = await register(http, full_name="Grace Ade")
    await Operators(database).make_admin(person.email, "", None)
    return person


@pytest.fixture
async def operator(http: httpx.AsyncClient, admin: Person) -> Person:
    """Staff that an admin has let in."""
    person = await register(http, full_name="Omar Diop")
    path = f"/v1/admin/customers/{person.id}/role"
    answer = await admin.post(path, {"role": "operator", "reason": "Joins the team"})
    assert answer.status_code == 200, answer.text
    return person
