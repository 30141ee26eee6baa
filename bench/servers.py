"""The servers of a run: Remit's own stack in a new folder, and a process for every other system.

All share one PostgreSQL (a database each) and one Temporal server (a task queue each), so all have the same
durability and the same competition for the machine.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from api.auth.tokens import Tokens
from bench.cases import REMIT, STARTED_LATER
from bench.postgres.books import copy_database, fill
from bench.traffic.population import save
from customers.sessions.session import Session
from devenv.processes.ports import answers, free_port
from devenv.processes.process import Child, Process, Say
from devenv.stack import PROJECT, Prepare, Running, Stack
from ledger.fingerprints import Fingerprints
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

TOKEN_SECONDS = 6 * 3600
GENERATORS = ("load", "reads")
# Settings of the machine. All others may belong to a stack of the user, which a run must neither find nor change.
KEPT = ("REMIT_CACHE", "REMIT_TEMPORAL_CLI")


@dataclass
class Servers:
    """The running servers and systems, and their ports."""

    running: Running
    folder: Path
    population: Path
    jwt_secret: str
    fingerprint_key: str
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def fingerprints(self) -> Fingerprints:
        """What makes and checks the fingerprints of all orders of the run."""
        return Fingerprints([self.fingerprint_key])

    def database_url(self, system: str) -> str:
        """The system's own database."""
        if system == REMIT:
            return self.running.database_url
        return urlunsplit(urlsplit(self.running.database_url)._replace(path=f"/bench_{system}"))

    def pids(self, system: str) -> list[int]:
        """The pids of a system's processes. Remit's API process contains its worker."""
        if system == REMIT:
            return [self.running.pids["api"]]
        return [process.pid for name, process in self.processes.items() if name.split("/")[0] == system]

    def groups(self, system: str) -> Mapping[str, list[int]]:
        """The groups of processes whose CPU and memory are measured while this system is under load."""
        return {
            "system": self.pids(system),
            "Temporal": [self.running.pids["temporal"]],
            "PostgreSQL": [self.running.pids["postgres"]],
            "load generator": [self.processes[name].pid for name in GENERATORS if name in self.processes],
        }

    async def start_system(self, name: str) -> None:
        """Start a process of `bench.systems`."""
        self.ports[name] = port = free_port()
        setting = {
            "port": port,
            "database_url": self.database_url(name),
            "temporal_address": self.running.temporal_address,
            "population": str(self.population),
            "fingerprint_key": self.fingerprint_key,
        }
        await self._start(name, port, ["-m", "bench.systems", name], {"REMIT_BENCH_SETTING": json.dumps(setting)})

    async def start_remit(
        self, name: str, command: Sequence[str], port: int, *, argv: Sequence[str] | None = None, **settings: str
    ) -> None:
        """Start another process of Remit: `api`, `api --with-worker` or, without a port, `worker`.

        `argv` is what Python runs instead of the command. The limits of requests are those of a sandbox: a flood that
        is refused would measure nothing.
        """
        given = {
            "database_url": self.running.database_url,
            "temporal_address": self.running.temporal_address,
            "jwt_secret": self.jwt_secret,
            "fingerprint_keys": self.fingerprint_key,
            "sandbox_rails": "true",
        } | settings
        if port:
            given["api_port"] = str(port)
        environment = {f"REMIT_{key.upper()}": value for key, value in given.items()}
        await self._start(name, port, argv or ["-m", "cli", *command], environment)

    async def _start(self, name: str, port: int, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        log = self.folder / "log" / f"{name.replace('/', '-')}.log"

        async def missing() -> str | None:
            if port:
                return None if await answers(port) else f"nothing answers on port {port}"
            return None if "worker runs" in await asyncio.to_thread(log.read_text) else "its worker does not run yet"

        child = Child(
            name=name,
            argv=[sys.executable, *argv],
            env=dict(os.environ) | {"PYTHONUNBUFFERED": "1"} | dict(environment),
            log=log,
            cwd=PROJECT,
            ready=missing,
            stop_seconds=20,
        )
        self.processes[name] = await Process.start(child)
        self.ports[name] = port

    async def stop(self, names: Iterable[str]) -> None:
        """End these processes."""
        for name in list(names):
            await self.processes.pop(name).stop()


def forget_settings() -> None:
    """Remove the user's settings from the environment, so that a run cannot use the user's database."""
    for name in [name for name in os.environ if name.startswith("REMIT_") and name not in KEPT]:
        del os.environ[name]


@asynccontextmanager
async def servers(
    folder: Path, prepare: Prepare, accounts: int, systems: Sequence[str], say: Say
) -> AsyncIterator[Servers]:
    """Run the stack with this many accounts in every database, these systems, and the load generators."""
    settings = Settings.model_validate(
        {
            "home": folder / "home",
            "api_port": free_port(),
            "temporal_port": free_port(),
            "temporal_ui_port": free_port(),
        }
    )
    population = folder / "population.json"

    async def prepare_books(database_url: str, temporal_address: str) -> None:
        await prepare(database_url, temporal_address)
        say(f"filling the books with {accounts:,} accounts")
        tokens = Tokens([stack.home.jwt_secret()], TOKEN_SECONDS)
        ends = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)

        def token(session: Session) -> str:
            return tokens.issue_access(session.customer_id, session.id, ends)

        fingerprints = Fingerprints([stack.home.fingerprint_key()])
        save(await fill(database_url, fingerprints, accounts, TOKEN_SECONDS, token), population)
        copies = [f"bench_{system}" for system in systems if system != REMIT]
        await copy_database(database_url, urlsplit(database_url).path.strip("/"), copies)

    stack = Stack(settings, prepare_books, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=say)
    async with stack.running() as running:
        found = Servers(running, folder, population, stack.home.jwt_secret(), stack.home.fingerprint_key())
        try:
            say("starting the other systems")
            for name in (*GENERATORS, *(system for system in systems if system not in (REMIT, *STARTED_LATER))):
                await found.start_system(name)
            found.ports[REMIT] = urlsplit(running.api_url).port or 0
            yield found
        finally:
            await found.stop(found.processes)
