"""Migrations beside the load: no transfer waits for them, and they get through in the end."""

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from customers.postgres import Customers
from database.connections import Unavailable
from database.migrations import migrate
from database.schema_changes import LOCK_SECONDS
from devenv.servers.postgres_server import PostgresServer
from ledger.postgres.book import Book
from tests.conftest import database_named
from tests.connections import Connection
from tests.orders import completed, funded, holder, order
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2] / "migrations"

NEEDS_THE_TABLE = """
from alembic import op
def upgrade():
    op.execute("ALTER TABLE transfers ADD COLUMN probe text")
"""

LATE_SECONDS = 0.8
NEEDS_THE_TABLE_LATE = f"""
from alembic import op
def upgrade():
    op.execute("SELECT pg_sleep({LATE_SECONDS})")
    op.execute("ALTER TABLE transfers ADD COLUMN probe text")
"""

BESIDE_THE_LOAD = """
from database.schema_changes import add_constraint, create_index
def upgrade():
    create_index("probe_index", "transfers (amount_minor, currency)")
    add_constraint("transfers", "probe_check", "CHECK (amount_minor > 0)")
    add_constraint("entries", "probe_fkey", "FOREIGN KEY (transfer_id) REFERENCES transfers (id)")
"""

UNIQUE = """
from database.schema_changes import create_index
def upgrade():
    create_index("probe_index", "customers (full_name)", unique=True)
"""


def with_one_more(folder: Path, migration: str) -> Path:
    """The migrations, and this one after them."""
    copied = folder / "migrations"
    shutil.copytree(ROOT, copied, ignore=shutil.ignore_patterns("__pycache__"))
    config = Config()
    config.set_main_option("script_location", str(ROOT))
    last = ScriptDirectory.from_config(config).get_current_head()
    head = f'revision = "9999"\ndown_revision = "{last}"\nbranch_labels = None\ndepends_on = None\n'
    (copied / "versions" / "9999_probe.py").write_text(head + migration)
    return copied


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_who_was_staff_before_roles_had_a_date_is_staff_since_they_registered(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    until_then = tmp_path / "migrations"
    shutil.copytree(ROOT, until_then, ignore=shutil.ignore_patterns("__pycache__", "000[7-9]*", "00[1-9]*"))
    name = f"test_{secrets.token_hex(6)}"
    server = await asyncpg.connect(postgres.url)
    await server.execute(f"CREATE DATABASE {name}")
    url = database_named(postgres.url, name)
    await migrate(url, folder=until_then)
    upgraded = await asyncpg.connect(url)
    await upgraded.execute(
        "INSERT INTO customers (id, email, password_hash, full_name, role, created_at)"
        " VALUES ($1, 'ada@example.com', '-', 'Ada Obi', 'admin', now() - interval '90 days')",
        "cus_" + "a" * 26,
    )
    await migrate(url)
    assert await upgraded.fetchval("SELECT role_since = created_at FROM customers")
    await upgraded.close()
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


async def test_a_migration_without_its_lock_lets_others_pass_and_tries_again(
    owner: Connection, reader: Connection, database_url: str, tmp_path: Path
) -> None:
    folder = with_one_more(tmp_path, NEEDS_THE_TABLE)
    holds = owner.transaction()
    await holds.start()
    await owner.fetch("SELECT id FROM transfers LIMIT 1")
    migration = asyncio.create_task(migrate(database_url, folder=folder))

    async def waits() -> bool:
        return bool(await reader.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode LIKE 'Access%'"))

    for _ in range(2):
        await until(waits, "the migration waits for its lock")
        began = time.monotonic()
        await reader.fetch("SELECT id FROM transfers LIMIT 1", timeout=20)
        assert time.monotonic() - began < LOCK_SECONDS + 1
    assert not migration.done()
    await holds.rollback()
    await migration
    assert await reader.fetchval("SELECT count(*) FROM information_schema.columns WHERE column_name = 'probe'") == 1


async def test_a_migration_that_never_gets_its_lock_gives_up_and_changes_nothing(
    owner: Connection, reader: Connection, database_url: str, tmp_path: Path
) -> None:
    folder = with_one_more(tmp_path, NEEDS_THE_TABLE)
    holds = owner.transaction()
    await holds.start()
    await owner.fetch("SELECT id FROM transfers LIMIT 1")
    with pytest.raises(Unavailable, match="did not get its lock"):
        await migrate(database_url, folder=folder, retry_seconds=0)
    await holds.rollback()
    assert await reader.fetchval("SELECT count(*) FROM information_schema.columns WHERE column_name = 'probe'") == 0


async def test_a_statement_has_its_whole_time_for_retries_however_long_the_ones_before_it_took(
    owner: Connection, reader: Connection, database_url: str, tmp_path: Path
) -> None:
    folder = with_one_more(tmp_path, NEEDS_THE_TABLE_LATE)
    holds = owner.transaction()
    await holds.start()
    await owner.fetch("SELECT id FROM transfers LIMIT 1")
    migration = asyncio.create_task(migrate(database_url, folder=folder, retry_seconds=LATE_SECONDS / 2))

    async def waits() -> bool:
        return bool(await reader.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode LIKE 'Access%'"))

    async def has_failed() -> bool:
        return not await waits()

    await until(waits, "its second statement waits for its lock")
    await until(has_failed, "it did not get it")
    await holds.rollback()
    await migration
    assert await reader.fetchval("SELECT count(*) FROM information_schema.columns WHERE column_name = 'probe'") == 1


async def test_indexes_and_constraints_are_added_while_money_moves(
    book: Book, customers: Customers, owner: Connection, database_url: str, tmp_path: Path
) -> None:
    folder = with_one_more(tmp_path, BESIDE_THE_LOAD)
    ada, ben = await funded(customers, book, 1_000_000), await holder(customers)
    longest, done = 0.0, 0
    stop = asyncio.Event()

    async def pay() -> None:
        nonlocal longest, done
        while not stop.is_set():
            began = time.monotonic()
            await completed(book, order(ada.id, ada.account_id, ben.account_id, 1))
            longest, done = max(longest, time.monotonic() - began), done + 1

    load = [asyncio.create_task(pay()) for _ in range(4)]
    before = done
    await migrate(database_url, folder=folder)
    during = done - before
    stop.set()
    await asyncio.gather(*load)
    assert during > 0
    assert longest < LOCK_SECONDS + 1
    assert await owner.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'probe_index'::regclass")
    validated = await owner.fetch("SELECT convalidated FROM pg_constraint WHERE conname LIKE 'probe_%'")
    assert [row["convalidated"] for row in validated] == [True, True]


async def test_an_index_that_was_left_invalid_is_made_again(
    customers: Customers, owner: Connection, database_url: str, tmp_path: Path
) -> None:
    folder = with_one_more(tmp_path, UNIQUE)
    twins = [await holder(customers) for _ in range(2)]
    await owner.execute("UPDATE customers SET full_name = 'Twin' WHERE id = ANY ($1)", [twin.id for twin in twins])
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(database_url, folder=folder)
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('probe_index')"
    assert await owner.fetchval(is_valid) is False
    await owner.execute("UPDATE customers SET full_name = id WHERE id = $1", twins[0].id)
    await migrate(database_url, folder=folder)
    assert await owner.fetchval(is_valid) is True


async def test_two_processes_that_migrate_at_once_do_not_wait_for_each_other_for_ever(
    postgres: PostgresServer, owner: Connection
) -> None:
    name = f"twice_{secrets.token_hex(6)}"
    await owner.execute(f"CREATE DATABASE {name}")
    url = database_named(postgres.url, name)
    try:
        await asyncio.wait_for(asyncio.gather(migrate(url), migrate(url)), timeout=60)
    finally:
        await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")


AN_EARLIER_TRANSFER = """
    INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id, destination_account_id,
        amount_minor, currency, workflow_id)
    VALUES ('trf_' || repeat('a', 26), 'cus_' || repeat('a', 26), 'rent', repeat('0', 64), 'transfer',
        'acc_' || repeat('a', 26), 'acc_' || repeat('b', 26), 100, 'USD', 'transfer/rent')
"""


async def test_books_with_transfers_from_before_the_fingerprints_are_refused_in_a_sentence(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = database_named(postgres.url, f"test_{secrets.token_hex(6)}")
    server = await asyncpg.connect(postgres.url)
    await server.execute(f"CREATE DATABASE {url.rpartition('/')[2].partition('?')[0]}")
    await server.close()
    earlier = tmp_path / "migrations"
    shutil.copytree(ROOT, earlier, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (earlier / "versions").iterdir():
        if file.stem >= "0011":
            file.unlink()
    await migrate(url, folder=earlier)
    owner = await asyncpg.connect(url)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(AN_EARLIER_TRANSFER)
    await owner.close()
    with pytest.raises(asyncpg.RaiseError, match="Migration 0011 needs books without transfers"):
        await migrate(url)
