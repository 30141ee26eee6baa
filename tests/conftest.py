"""Real servers for every test: one PostgreSQL, one Temporal and one time-skipping server a session.

Each test gets a migrated, empty database of its own, and every database is audited when its test ends: a test that
leaves the books broken fails, whatever it claims.
"""

import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

import worker
from customers.postgres import Customers
from database.connections import WORKER_ROLE, Database
from database.migrations import migrate
from devenv.servers.postgres_server import PostgresServer
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from devenv.servers.time_skipping import time_skipping_server
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import TransferReads
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.databases import Databases, OwnDatabase
from tests.late_workers import late_workers
from tests.orders import BOTH_FINGERPRINTS, ENCRYPTION, FINGERPRINTS
from workflows.payloads import DATA_CONVERTER
from workflows.registration import register_search_attributes
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

TEMPLATE = "remit_template"

# No test pulls the plug of the machine, and a killed PostgreSQL loses nothing by these. A database for each test is
# created and dropped in a tenth of the time.
WITHOUT_WAITING_FOR_THE_DISK = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}

# Java would spend more on compiling its own code well than the few tests of a session win by it.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

# A Java machine on a busy computer takes longer than the five seconds that the SDK gives it.
SERVER_STARTS_WITHIN = timedelta(seconds=60)


def database_named(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder for PostgreSQL. Where we are root it runs as somebody else, to whom pytest's own folders may close."""
    with tempfile.TemporaryDirectory(prefix="remit-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
async def postgres(open_folder: Path) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(open_folder / "postgres", say=print, settings=WITHOUT_WAITING_FOR_THE_DISK)
    await server.start()
    try:
        connection = await asyncpg.connect(server.url)
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await connection.close()
        await migrate(database_named(server.url, TEMPLATE))
        yield server
    finally:
        # At once: nobody needs what it would write to its files.
        os.kill(server.pid, signal.SIGQUIT)
        await server.stop()


@pytest.fixture(scope="session")
async def databases(postgres: PostgresServer) -> AsyncIterator[Databases]:
    connection = await asyncpg.connect(postgres.url)
    databases = Databases(connection, TEMPLATE, partial(database_named, postgres.url))
    with databases.lent_to_workers():
        yield databases
    await databases.close()
    await connection.close()


@pytest.fixture
async def own_database(databases: Databases) -> AsyncIterator[OwnDatabase]:
    """A migrated, empty database that no other test uses meanwhile."""
    own = await databases.take()
    yield own
    await databases.give_back(own)


@pytest.fixture
def database_url(own_database: OwnDatabase) -> str:
    """The test's database, as its owner."""
    return own_database.url


@pytest.fixture
def database_role() -> str:
    """Whom PostgreSQL takes the test's connections for: a worker, who may do all that the API may, and move money."""
    return WORKER_ROLE


async def has_moved_money(database: Database) -> bool:
    """Whether there is anything to audit."""
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM transfers) OR EXISTS (SELECT FROM entries)"))


@pytest.fixture
async def database(
    own_database: OwnDatabase, database_role: str, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """The test's database as the application sees it; its books must be clean when the test ends."""
    async with own_database.lend(database_role) as database:
        yield database
        if await has_moved_money(database) and not request.node.get_closest_marker("breaks_the_books"):
            found = await audit(database, BOTH_FINGERPRINTS)
            assert found.clean, found.broken
        own_database.keep(database)


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[Connection]:
    """The login role, which migrates: it owns the tables and is a superuser. Closed before the audit of the books."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def book(database: Database) -> Book:
    return Book(database, FINGERPRINTS, record_reversal)


@pytest.fixture
def customers(database: Database) -> Customers:
    return Customers(database, encryption=ENCRYPTION)


@pytest.fixture
def account_reads(database: Database) -> AccountReads:
    return AccountReads(database)


@pytest.fixture
def transfer_reads(database: Database) -> TransferReads:
    return TransferReads(database)


@pytest.fixture(autouse=True, scope="session")
def few_pollers() -> Iterator[None]:
    """A worker of a test takes a handful of steps: most of its work for Temporal would be to ask for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "FIRST_POLLERS", 2)
        yield


@pytest.fixture(autouse=True, scope="session")
def workers_begin_late() -> Iterator[None]:
    with late_workers():
        yield


@pytest.fixture(scope="session")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    """A real Temporal server, in memory and without its Web UI."""
    server = TemporalServer(
        await temporal_binary(Settings().cache, print, Settings().temporal_cli),
        log=tmp_path_factory.mktemp("temporal") / "temporal.log",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
async def client(temporal: TemporalServer) -> Client:
    return await Client.connect(temporal.address, data_converter=DATA_CONVERTER)


@pytest.fixture(scope="session")
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's time-skipping server: waits of days pass as soon as nothing else is to be done."""
    binary = await time_skipping_server(Settings().cache, say=print)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", JAVA_OPTIONS)
        started = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(binary),
            test_server_startup_timeout=SERVER_STARTS_WITHIN,
            data_converter=DATA_CONVERTER,
        )
    async with started as environment:
        await register_search_attributes(environment.client)
        yield environment


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level, levels = list(root.handlers), root.level, {}
    for name in ("httpx", "httpcore", "uvicorn.error", "uvicorn.access", "alembic", "asyncio"):
        levels[name] = logging.getLogger(name).level
    kept, hook = structlog.get_config(), sys.excepthook
    yield
    sys.excepthook = hook
    structlog.configure(**kept)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


# Rules first, servers later: a broken rule is reported before a server starts.
FOLDERS = (
    "architecture",
    "ledger",
    "customers",
    "staff",
    "disputes",
    "onboarding",
    "reviews",
    "screening",
    "trail",
    "notifications",
    "database",
    "properties",
    "activities",
    "workflows",
    "api",
    "cli",
    "devenv",
    "bench",
    "end_to_end",
)


# Modules and tests stay for good: nobody looks for garbage among them while they are read, nor afterwards.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the folders of `tests/` in the order of `FOLDERS`, and the others after them."""
    tests = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(tests).parts[0]
        return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)

    items.sort(key=place)
