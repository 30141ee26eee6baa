"""One `remit api --with-worker` for all claims about what a process leaves behind: its log files and its metrics."""

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from database.connections import Database
from devenv.demo.postgres import holding
from devenv.processes.ports import LOCALHOST, free_port
from devenv.servers.postgres_server import PostgresServer
from devenv.servers.temporal_server import TemporalServer
from ledger.ids import AccountId
from tests.api.people import Person, reaches, register
from tests.cli.remit import STARTS_WITHIN_SECONDS, ended, started
from tests.conftest import TEMPLATE, database_named
from tests.waiting import until


@dataclass
class Story:
    """A process, what happened in it, and where it wrote that down."""

    http: httpx.AsyncClient
    folder: Path
    database_url: str
    completed: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, Any] = field(default_factory=dict)
    stuck: dict[str, Any] = field(default_factory=dict)
    payer: Person | None = None

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a log file. Each of them is a JSON object, or this fails."""
        path = self.folder / f"{name}.log"
        return [orjson.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def events(self, name: str, about: str) -> list[dict[str, Any]]:
        """The lines of a file about one transfer."""
        return [line for line in self.lines(name) if line.get("transfer_id") == about]

    async def metric(self, name: str) -> float | None:
        """A sample of `/metrics`, by name and labels as they are printed."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", (await self.http.get("/metrics")).text, re.MULTILINE)
        return float(found[1]) if found else None


@pytest.fixture(scope="session")
async def story(
    postgres: PostgresServer, temporal: TemporalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Story]:
    """A completed transfer, a failed one, and one that was stuck behind a held account until that was released."""
    folder, port = tmp_path_factory.mktemp("log"), free_port()
    name = f"test_{secrets.token_hex(6)}"
    owner = await asyncpg.connect(postgres.url)
    await owner.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    url = database_named(postgres.url, name)
    process = await started(
        *("api", "--with-worker"),
        REMIT_DATABASE_URL=url,
        REMIT_TEMPORAL_ADDRESS=temporal.address,
        REMIT_TASK_QUEUE=name,
        REMIT_JWT_SECRET=secrets.token_hex(32),
        REMIT_API_PORT=str(port),
        REMIT_SANDBOX_RAILS="true",
        REMIT_STUCK_AFTER_SECONDS="1",
        REMIT_LOG_FORMAT="json",
        REMIT_LOG_FOLDER=str(folder),
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}", timeout=60, trust_env=False) as http:
            story = Story(http, folder, url)
            await until(lambda: _is_ready(http), "the process is ready", STARTS_WITHIN_SECONDS)
            await _fill(story)
            yield story
    finally:
        output = await ended(process)
        await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await owner.close()
    assert output == "", "a line that is in no file, and no JSON"


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/ready")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def _fill(story: Story) -> None:
    payer, payee = await register(story.http), await register(story.http, full_name="Ben Sow")
    story.payer = payer
    await payer.deposit(50_000)
    story.completed = (await payer.pay(payee, 1_00)).json()
    story.failed = (await payee.pay(payer, 9_000_00)).json()
    async with Database(story.database_url, connections=1) as database:
        async with holding(database, AccountId(payee.account_id)):
            story.stuck = (await payer.pay(payee, 2_00, prefer="wait=0")).json()
            await until(lambda: _needs_attention(story), "the transfer needs attention")
        await reaches(payer, story.stuck["id"], "completed")


async def _needs_attention(story: Story) -> bool:
    return any(line["event"].startswith("needs attention") for line in story.events("worker", story.stuck["id"]))
