"""Processes of the API behind real sockets, without a worker: tests write what happened, and number it themselves."""

from collections.abc import AsyncIterator

import httpx
import pytest

from database.connections import Database
from settings import Settings
from tests.api.live.serving import Served, served


@pytest.fixture
async def here(settings: Settings, database: Database) -> AsyncIterator[Served]:
    """One process."""
    async with served(settings, database) as one:
        yield one


@pytest.fixture
async def http(here: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=here.url, timeout=20, trust_env=False) as http:
        yield http
