"""One API for all tests of a module: they ask for little. What one leaves, the next ones find: keys and spent money."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from database.connections import APPLICATION_ROLE, WORKER_ROLE, Database
from ledger.ids import AccountId, CustomerId
from ledger.postgres.book import Book
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.api.conftest import settings_for
from tests.api.people import NoEventTasks, Person, register, running_api
from tests.databases import Databases
from tests.orders import FINGERPRINTS, deposited


@dataclass(frozen=True)
class SharedApi:
    settings: Settings
    http: httpx.AsyncClient
    ada: Person
    ben: Person


@pytest.fixture(scope="module")
async def shared_api(databases: Databases, shared_settings: Settings) -> AsyncIterator[SharedApi]:
    own = await databases.take()
    settings = settings_for(shared_settings, own.url)
    async with own.lend(APPLICATION_ROLE) as database:
        async with running_api(settings, database, events=NoEventTasks) as http:
            ada, ben = await register(http), await register(http, full_name="Ben Sow")
            async with Database(own.url, connections=2, role=WORKER_ROLE) as steps:
                book = Book(steps, FINGERPRINTS, record_reversal)
                await deposited(book, CustomerId(ada.id), AccountId(ada.account_id), 50_000)
            yield SharedApi(settings, http, ada, ben)
        own.keep(database)
    await databases.give_back(own)


@pytest.fixture
def settings(shared_api: SharedApi) -> Settings:
    return shared_api.settings


@pytest.fixture
def http(shared_api: SharedApi) -> httpx.AsyncClient:
    return shared_api.http


@pytest.fixture
def ada(shared_api: SharedApi) -> Person:
    return shared_api.ada


@pytest.fixture
def ben(shared_api: SharedApi) -> Person:
    return shared_api.ben


@pytest.fixture
async def nothing_moves(ada: Person, ben: Person) -> AsyncIterator[None]:
    """When the test ends, both have what they had before."""
    before = await ada.balance(), await ben.balance()
    yield
    assert (await ada.balance(), await ben.balance()) == before
