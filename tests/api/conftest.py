"""API and worker share a client, as in `remit run`."""

import secrets
from collections.abc import AsyncIterator, Iterator

import argon2
import httpx
import pytest
from pydantic import SecretStr

from api.auth import passwords
from api.long_workflows import LongWorkflows
from database.connections import APPLICATION_ROLE, WORKER_ROLE, Database
from devenv.servers.temporal_server import TemporalServer
from event_tasks import EventTasks
from ledger.ids import AccountId, CustomerId
from ledger.postgres.book import Book
from settings import Settings
from staff.permissions import Role
from staff.postgres.reversal_record import record_reversal
from tests.api import people
from tests.api.people import Person, register, running_api
from tests.orders import FINGERPRINT_KEY, FINGERPRINTS, deposited, promoted


@pytest.fixture(autouse=True, scope="session")
def quick_hashes() -> Iterator[None]:
    """Passwords are hashed with the cheapest parameters: nearly every test registers somebody."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_HASHER", cheap)
        yield


@pytest.fixture
def database_role() -> str:
    """The API's own role, which cannot move money."""
    return APPLICATION_ROLE


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    """The book of a worker beside the API."""
    async with Database(database_url, connections=5, role=WORKER_ROLE) as steps_database:
        yield Book(steps_database, FINGERPRINTS, record_reversal)


@pytest.fixture(scope="session")
def shared_settings(temporal: TemporalServer) -> Settings:
    """What all tests have in common: to read ninety variables for each of them takes longer than to serve a request."""
    return Settings.model_validate(
        {
            "temporal_address": temporal.address,
            "fingerprint_keys": FINGERPRINT_KEY,
            "sandbox_rails": True,
            # Staff are made a moment before they are two.
            "four_eyes_after_seconds": 0,
        }
    )


def settings_for(shared: Settings, database_url: str) -> Settings:
    return shared.model_copy(
        update={
            "database_url": database_url,
            "jwt_secret": SecretStr(secrets.token_hex(32)),
            "task_queue": f"test-{secrets.token_hex(6)}",
        }
    )


@pytest.fixture
def settings(shared_settings: Settings, database_url: str) -> Settings:
    return settings_for(shared_settings, database_url)


@pytest.fixture
def with_events() -> bool:
    """Whether workers number the test's events and hand them on. Few tests look at events, and it costs all of them."""
    return False


@pytest.fixture(autouse=True)
def tasks_of_workers(with_events: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "tasks_of_workers", EventTasks if with_events else people.NoEventTasks)


@pytest.fixture
def with_onboarding() -> bool:
    """Whether registrations start their workflow, which ends at once for everybody who is verified already."""
    return False


@pytest.fixture(autouse=True)
def onboarding(with_onboarding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_onboarding:
        monkeypatch.setattr(LongWorkflows, "begin_onboarding", lambda *_: None)


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with running_api(settings, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient, book: Book) -> Person:
    """A customer with 500.00 USD, deposited without a workflow: that takes longer than most tests."""
    person = await register(http)
    await deposited(book, CustomerId(person.id), AccountId(person.account_id), 50_000)
    return person


@pytest.fixture
async def ben(http: httpx.AsyncClient) -> Person:
    """A customer with nothing yet."""
    return await register(http, full_name="Ben Sow")


@pytest.fixture
async def admin(http: httpx.AsyncClient, database: Database) -> Person:
    """Who may do everything that staff may."""
    person = await register(http, full_name="Grace Ade")
    await promoted(database, person.id, Role.ADMIN)
    return person


@pytest.fixture
async def operator(http: httpx.AsyncClient, database: Database) -> Person:
    """Staff who may do what needs no admin."""
    person = await register(http, full_name="Omar Diop")
    await promoted(database, person.id, Role.OPERATOR)
    return person
