"""A whole embedded stack with the pages that `make web` built, its customers, and browsers at it."""

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from api.pages.built_pages import BUILT
from cli.migrate import prepare
from database.connections import WORKER_ROLE, Database
from devenv.processes.ports import free_port
from devenv.stack import Running, Stack
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, register
from tests.orders import promoted
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

if TYPE_CHECKING:
    from playwright.async_api import Browser

HERE = Path(__file__).parent

# Only `make check-web` installs Playwright, but every test run collects the tests.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.web)
            # One opens twenty pages, each looked at by axe, also on a slow machine.
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
async def stack(open_folder: Path) -> AsyncIterator[Running]:
    assert (BUILT / "index.html").exists(), "`make check-web` builds the pages first"
    settings = Settings.model_validate(
        {
            "home": open_folder / "web",
            "api_port": free_port(),
            "temporal_port": free_port(),
            "temporal_ui_port": free_port(),
            "sandbox_rails": True,
            "stuck_after_seconds": 2,
            # Staff are made a moment before they are two.
            "four_eyes_after_seconds": 0,
        }
    )
    async with Stack(settings, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=print).running() as running:
        yield running


@pytest.fixture(scope="session")
async def http(stack: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=60, trust_env=False) as http:
        yield http


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator["Browser"]:
    from tests.runbook.web_ui import running_browser  # noqa: PLC0415 - it needs Playwright

    async with running_browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
async def admin(stack: Running, http: httpx.AsyncClient) -> Person:
    return await of_staff(stack, http, Role.ADMIN, "Ola Ade")


@pytest.fixture(scope="session")
async def operator(stack: Running, http: httpx.AsyncClient) -> Person:
    return await of_staff(stack, http, Role.OPERATOR, "Oba Lund")


async def of_staff(stack: Running, http: httpx.AsyncClient, role: Role, full_name: str) -> Person:
    """Somebody with this role."""
    person = await register(http, full_name=full_name)
    async with Database(stack.database_url, connections=1, role=WORKER_ROLE) as database:
        await promoted(database, person.id, role)
    return person


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    """A customer of this test alone, with $500.00."""
    person = await register(http, full_name="Ada Obi")
    await deposited(person, 500_00)
    return person


@pytest.fixture(scope="session")
async def ben(http: httpx.AsyncClient) -> Person:
    return await register(http, full_name="Ben Singh")


async def deposited(person: Person, amount: int) -> None:
    body = {"amount": amount, "currency": "USD"}
    answer = await person.post(f"/v1/accounts/{person.account_id}/deposits", body, prefer="wait=30")
    assert answer.json()["state"] == "completed", answer.text
