"""An acknowledged transfer is on disk: each process sees to it, and does not start where PostgreSQL does not."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from database.commits import NotDurable, check_commits
from database.connections import SESSION, Database
from database.migrations import migrate
from devenv.processes.ports import free_port
from devenv.servers.postgres_server import PostgresServer
from tests.orders import FINGERPRINT_KEY

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def careless(database_url: str) -> str:
    """A database whose owner has switched waiting for the disk off, for everybody."""
    connection = await asyncpg.connect(database_url)
    name = urlsplit(database_url).path.strip("/")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.close()
    return database_url


@pytest.fixture(scope="module")
async def unsafe(open_folder: Path) -> AsyncIterator[str]:
    """A server that does not write to its disk in time."""
    server = PostgresServer(open_folder / "unsafe", settings={"fsync": "off"})
    await server.start()
    await migrate(server.url)
    yield server.url
    await server.stop()


async def test_a_session_waits_for_the_disk_whatever_the_database_says(careless: str) -> None:
    async with Database(careless, connections=1) as database, database.connection() as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
    async with Database(careless, connections=1) as database:
        # Not because of what the owner of the database set: the tests' server itself does not wait.
        with pytest.raises(NotDurable, match=r"^(?!.*synchronous_commit)"):
            await check_commits(database, sandbox=False)


async def test_a_session_that_does_not_wait_for_the_disk_is_found(
    careless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that drops what a process sets at its start."""
    monkeypatch.delitem(SESSION, "synchronous_commit")
    async with Database(careless, connections=1) as database:
        with pytest.raises(NotDurable, match="synchronous_commit is off"):
            await check_commits(database, sandbox=False)


async def started(command: str, url: str, **settings: str) -> tuple[int | None, str]:
    """The exit code and the last words of a process; None: it was still running after it said that it starts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", command),
        cwd=ROOT,
        env=kept
        | {
            "REMIT_DATABASE_URL": url,
            "REMIT_TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
            "REMIT_JWT_SECRET": FINGERPRINT_KEY,
            "REMIT_FINGERPRINT_KEYS": FINGERPRINT_KEY,
            "REMIT_API_PORT": str(free_port()),
        }
        | settings,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(90):  # on a busy machine it takes long to load
            output = (await process.stderr.read()).decode()
            # Not killed where it ends by itself: kill() reaps a process that has just ended, and its exit code is lost.
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, output


@pytest.mark.system
@pytest.mark.parametrize("command", ["api", "worker"])
async def test_a_process_does_not_start_on_a_server_that_may_lose_commits(unsafe: str, command: str) -> None:
    status, output = await started(command, unsafe)
    assert status == 1
    assert "PostgreSQL may lose acknowledged transfers in a crash: fsync is off." in output.splitlines()[-1]


@pytest.mark.system
async def test_a_sandbox_starts_on_a_server_that_may_lose_commits_and_says_so(unsafe: str) -> None:
    async with Database(unsafe, connections=1) as database:
        with capture_logs() as logged:
            await check_commits(database, sandbox=True)
    assert "fsync is off" in logged[0]["event"]
