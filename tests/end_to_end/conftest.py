"""The whole embedded stack as users run it, in a home and on ports of its own: one for all tests of this folder."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cli.migrate import prepare
from devenv.processes.ports import free_port
from devenv.stack import Running, Stack
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES


@pytest.fixture(scope="session")
def home(open_folder: Path) -> Path:
    return open_folder / "home"


@pytest.fixture(scope="session")
async def stack(home: Path) -> AsyncIterator[Running]:
    settings = Settings.model_validate(
        {
            "home": home,
            "api_port": free_port(),
            "temporal_port": free_port(),
            "temporal_ui_port": free_port(),
            "sandbox_rails": True,
        }
    )
    async with Stack(settings, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=print).running() as running:
        yield running


@pytest.fixture
async def http(stack: Running) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=60, trust_env=False, limits=limits) as http:
        yield http


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """For `remit` commands beside the stack."""
    return {**os.environ, "REMIT_HOME": str(home)}
