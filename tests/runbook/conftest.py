"""An embedded stack with short timeouts, its staff and customers, and the pages in a terminal."""

import os
import secrets
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from cli.migrate import prepare
from database.connections import WORKER_ROLE, Database
from devenv.processes.ports import free_port
from devenv.servers.temporal_binary import temporal_binary
from devenv.stack import PROJECT, Running, Stack
from ledger.ids import AccountId, CustomerId
from ledger.postgres.book import Book
from settings import Settings
from staff.permissions import Role
from staff.postgres.reversal_record import record_reversal
from tests.api.people import Person, register
from tests.orders import FINGERPRINT_KEY, FINGERPRINTS, deposited, promoted
from tests.runbook.commands import Runbook
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

HERE = Path(__file__).parent

# Only `make check-runbook` installs Playwright, but every test run collects the tests.
collect_ignore = [] if find_spec("playwright") else ["clicks"]

# Amounts in major units: from the first on one person reviews, from the second on two.
REVIEW_FROM, FOUR_EYES_FROM = 100, 500
STUCK_AFTER_SECONDS = 3
RECOVERY_GRACE_SECONDS = 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.runbook)


@pytest.fixture(scope="session")
def home(open_folder: Path) -> Path:
    return open_folder / "runbook"


@pytest.fixture(scope="session")
async def stack(home: Path) -> AsyncIterator[Running]:
    """Recovery runs only when a check triggers it: its schedule's interval is longer than the checks."""
    settings = Settings.model_validate(
        {
            "home": home,
            "api_port": free_port(),
            "temporal_port": free_port(),
            "temporal_ui_port": free_port(),
            "sandbox_rails": True,
            "review_from_major": REVIEW_FROM,
            "four_eyes_from_major": FOUR_EYES_FROM,
            "four_eyes_after_seconds": 0,
            "stuck_after_seconds": STUCK_AFTER_SECONDS,
            "recovery_grace_seconds": RECOVERY_GRACE_SECONDS,
            "access_token_seconds": 3600,
            "fingerprint_keys": FINGERPRINT_KEY,
        }
    )
    # `remit migrate`, which sets the schedule, reads the environment.
    os.environ["REMIT_RECOVERY_INTERVAL_SECONDS"] = "3600"
    async with Stack(settings, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=print).running() as running:
        yield running


# Of a module, not of the session: some modules have a stack of their own, and these follow it.
@pytest.fixture(scope="module")
async def http(stack: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=60, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
async def database(stack: Running) -> AsyncIterator[Database]:
    """The stack's books, for what neither customers nor operators do."""
    async with Database(stack.database_url, connections=4, role=WORKER_ROLE) as database:
        yield database


@pytest.fixture
async def client(stack: Running) -> Client:
    """A client of the stack's Temporal."""
    return await Client.connect(stack.temporal_address)


@pytest.fixture(scope="module")
async def environment(stack: Running, home: Path) -> dict[str, str]:
    return await terminal(stack, home)


async def terminal(stack: Running, home: Path) -> dict[str, str]:
    """The variables that the pages export, with their commands on the path."""
    temporal = await temporal_binary(Settings().cache, print, Settings().temporal_cli)
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(temporal.parent), str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(PROJECT),
        "REMIT_HOME": str(home),
        "REMIT_DATABASE_URL": stack.database_url,
        "REMIT_FINGERPRINT_KEYS": FINGERPRINT_KEY,
        "REMIT_OPERATOR_DATABASE_URL": await peoples_url(stack.database_url),
        "REMIT_TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_NAMESPACE": "default",
        "PGOPTIONS": "",
        "PSQL_PAGER": "",
        "PAGER": "cat",
        "API": stack.api_url,
    }


async def peoples_url(database_url: str) -> str:
    """The login for people, with a password of this check."""
    password = secrets.token_hex(8)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"ALTER ROLE remit_operator LOGIN PASSWORD '{password}'")
    await connection.close()
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"remit_operator:{password}@{parts.hostname}:{parts.port}"))


@pytest.fixture
async def admin(http: httpx.AsyncClient, database: Database) -> Person:
    """A new admin for each check."""
    person = await register(http, full_name="Ola Ade")
    await promoted(database, person.id, Role.ADMIN)
    return person


@pytest.fixture(scope="module")
async def operator(http: httpx.AsyncClient, database: Database) -> Person:
    person = await register(http, full_name="Ike Eze")
    await promoted(database, person.id, Role.OPERATOR)
    return person


@pytest.fixture
async def payer(http: httpx.AsyncClient, database: Database) -> Person:
    """A customer of this check alone, with $1,980."""
    person = await register(http, full_name="Ada Obi")
    book = Book(database, FINGERPRINTS, record_reversal)
    await deposited(book, CustomerId(person.id), AccountId(person.account_id), 1_980_00)
    return person


@pytest.fixture
async def payee(http: httpx.AsyncClient) -> Person:
    return await register(http, full_name="Ben Ola")


@pytest.fixture
async def paid(payer: Person, payee: Person) -> str:
    """A completed transfer of $80.00 from the payer to the payee."""
    answer = (await payer.pay(payee, 80_00)).json()
    assert answer["state"] == "completed", answer
    return str(answer["id"])


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """The folder for screenshots: REMIT_SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("REMIT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def runbook(environment: dict[str, str], operator: Person) -> Runbook:
    """The pages in the terminal of an operator who is signed in."""
    return Runbook({**environment, "STAFF_TOKEN": operator.token})


@pytest.fixture
def admins_runbook(environment: dict[str, str], admin: Person) -> Runbook:
    """The pages in the terminal of an admin who is signed in."""
    return Runbook({**environment, "STAFF_TOKEN": admin.token})
