"""Large books: tens of thousands of transfers in every run, millions in `make check-scale`.

`REMIT_SCALE_TRANSFERS` says how many. `REMIT_SCALE_FOLDER` keeps the books, and the next run finds them filled.
"""

import os
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from bench.postgres.large_books import RARE_CURRENCY, fill_large_books
from database.migrations import migrate
from devenv.servers.postgres_server import PostgresServer
from ledger.ids import AccountId, CustomerId
from tests.conftest import TEMPLATE, database_named
from tests.orders import FINGERPRINTS
from tests.scale.explained import ExplainedDatabase

TRANSFERS = int(os.environ.get("REMIT_SCALE_TRANSFERS", "12000"))
FOLDER = os.environ.get("REMIT_SCALE_FOLDER")
IS_LARGE = TRANSFERS >= 1_000_000

# Shared memory as a server of this size has it, and few checkpoints while rows are copied.
_SERVER = ("shared_buffers = '2GB'", "max_wal_size = '8GB'", "maintenance_work_mem = '1GB'")


@dataclass(frozen=True)
class Party:
    """An account and its owner."""

    id: CustomerId
    account_id: AccountId


@dataclass(frozen=True)
class Large:
    """The books: a merchant who is in a tenth of all transfers, and an account in a currency that few use."""

    url: str
    transfers: int
    merchant: Party
    rare: Party


def tell(line: str) -> None:
    print(line, flush=True)


async def _filled(url: str) -> None:
    began = time.monotonic()
    await fill_large_books(
        url, FINGERPRINTS, TRANSFERS, seed=1, progress=lambda n: tell(f"{n:,} in {time.monotonic() - began:,.0f} s")
    )
    tell(f"filled with {TRANSFERS:,} transfers in {time.monotonic() - began:,.0f} s")


async def _party(connection: "asyncpg.Connection[asyncpg.Record]", of: str) -> Party:
    row = await connection.fetchrow(f"SELECT owner_id, id FROM accounts WHERE {of} LIMIT 1")
    assert row is not None
    return Party(row["owner_id"], row["id"])


async def _kept(folder: Path) -> PostgresServer:
    """The server of the folder, with its books filled by the first run."""
    server = PostgresServer(folder / "postgres", say=tell)
    await server.start()
    connection = await asyncpg.connect(server.url)
    if not await connection.fetchval("SELECT to_regclass('transfers')"):
        for setting in _SERVER:
            await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.close()
        await server.stop()
        await server.start()
        connection = await asyncpg.connect(server.url)
    is_filled = await connection.fetchval("SELECT to_regclass('filled')")
    await connection.close()
    began = time.monotonic()
    await migrate(server.url)
    tell(f"migrated in {time.monotonic() - began:.1f} s")
    if not is_filled:
        await _filled(server.url)
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE filled ()")
        await connection.close()
    return server


if FOLDER:

    @pytest.fixture(scope="session")
    async def books() -> AsyncIterator[str]:
        """The address of books that stay filled from one run to the next."""
        server = await _kept(Path(FOLDER or ""))
        yield server.url
        await server.stop()

else:

    @pytest.fixture(scope="session")
    async def books(postgres: PostgresServer) -> str:
        """The address of books that are filled for this run."""
        url = database_named(postgres.url, f"large_{secrets.token_hex(6)}")
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(f"CREATE DATABASE {url.rpartition('/')[2]} TEMPLATE {TEMPLATE}")
        await connection.close()
        await _filled(url)
        return url


@pytest.fixture(scope="session")
async def large(books: str) -> Large:
    connection = await asyncpg.connect(books)
    merchant = await _party(connection, "version = (SELECT max(version) FROM accounts)")
    rare = await _party(connection, f"currency = '{RARE_CURRENCY}'")
    await connection.close()
    return Large(books, TRANSFERS, merchant, rare)


@pytest.fixture
async def explained(large: Large) -> AsyncIterator[ExplainedDatabase]:
    async with ExplainedDatabase(large.url, connections=4) as database:
        yield database
