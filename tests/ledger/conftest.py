"""Whoever owns the tables, and may do what the application may not."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from database.connections import Database

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[Connection]:
    """The login role, which migrates: it owns the tables and is a superuser. Closed before the books are audited."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
