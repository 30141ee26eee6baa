"""Remit as in production: PostgreSQL, Temporal, API and workers in separate processes, which tests start and stop."""

import asyncio
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from devenv.processes.ports import LOCALHOST, free_port
from devenv.processes.process import Child, Process, Ready
from devenv.servers.postgres_server import PostgresServer, server_binaries
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from devenv.stack import PROJECT
from settings import Settings
from tests.runbook.commands import Runbook
from tests.waiting import until
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

REVIEW_FROM = 100


class Installation:
    """Each process can be stopped, killed and started alone.

    `database_url` says which books the next ones use, and `worker_database_url` how the next workers log in to them;
    None: as the others.
    """

    def __init__(self, folder: Path, temporal_cli: Path) -> None:
        self.folder = folder
        self.temporal_file = folder / "temporal.db"
        self.postgres = PostgresServer(folder / "postgres")
        self.temporal = TemporalServer(
            temporal_cli,
            log=folder / "temporal.log",
            database=self.temporal_file,
            search_attributes=SEARCH_ATTRIBUTE_TYPES,
        )
        self.database_url = ""
        self.worker_database_url: str | None = None
        self.api_url = f"http://{LOCALHOST}:{free_port()}"
        self.processes: list[Process] = []
        self._temporal_cli = temporal_cli
        self._secret = secrets.token_hex(32)

    def environment(self, **more: str) -> dict[str, str]:
        """The variables that the pages export, and the settings of all processes."""
        tools = (self._temporal_cli.parent, Path(sys.executable).parent, server_binaries())
        return {
            **os.environ,
            "PATH": os.pathsep.join((*map(str, tools), os.environ["PATH"])),
            "REMIT_HOME": str(self.folder / "home"),
            "REMIT_DATABASE_URL": self.database_url,
            "REMIT_TEMPORAL_ADDRESS": self.temporal.address,
            "REMIT_API_PORT": self.api_url.rpartition(":")[2],
            "REMIT_JWT_SECRET": self._secret,
            "REMIT_FINGERPRINT_KEYS": self._secret,
            "REMIT_SANDBOX_RAILS": "true",
            "REMIT_REVIEW_FROM_MAJOR": str(REVIEW_FROM),
            "REMIT_FOUR_EYES_AFTER_SECONDS": "0",
            "REMIT_RECOVERY_GRACE_SECONDS": "1",
            "REMIT_RECOVERY_INTERVAL_SECONDS": "1",
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": "default",
            "PAGER": "cat",
            "API": self.api_url,
            **more,
        }

    def runbook(self, **more: str) -> Runbook:
        return Runbook(self.environment(**more))

    async def start_api(self) -> Process:
        async def missing() -> str | None:
            async with httpx.AsyncClient(trust_env=False) as http:
                try:
                    return None if (await http.get(f"{self.api_url}/ready")).status_code == 200 else "not ready"
                except httpx.HTTPError as error:
                    return repr(error)

        return await self._start("api", missing)

    async def start_worker(self) -> Process:
        log = self._log("worker")

        async def missing() -> str | None:
            return None if log.exists() and "worker runs" in log.read_text() else "its log does not say that it runs"

        return await self._start("worker", missing, REMIT_DATABASE_URL=self.worker_database_url or self.database_url)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{len(self.processes)}.log"

    async def _start(self, name: str, missing: Ready, **more: str) -> Process:
        process = await Process.start(
            Child(
                name=name,
                argv=[sys.executable, "-m", "cli", name],
                env=self.environment(**more),
                cwd=PROJECT,
                log=self._log(name),
                ready=missing,
                stop_seconds=25,
            )
        )
        self.processes.append(process)
        return process

    def alive(self, name: str) -> list[Process]:
        """The running processes of this name: `api` or `worker`."""
        return [process for process in self.processes if process.alive and process.child.name == name]

    async def stop_processes(self) -> None:
        """Stop the API and the workers; the servers keep running."""
        for process in (*self.alive("api"), *self.alive("worker")):
            await process.stop()


async def remit(environment: Mapping[str, str], command: str, *, exits: int = 0) -> str:
    """Run a command of `remit` and return its output. Fails on another exit code."""
    process = await asyncio.create_subprocess_exec(
        *("remit", command), env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == exits, said.decode()
    return said.decode()


@asynccontextmanager
async def running_installation(folder: Path) -> AsyncIterator[Installation]:
    """Both servers with a migrated schema, and no API or worker."""
    folder.mkdir()
    installation = Installation(folder, await temporal_binary(Settings().cache, print, Settings().temporal_cli))
    try:
        await installation.postgres.start()
        installation.database_url = installation.postgres.url
        await installation.temporal.start()
        await remit(installation.environment(), "migrate")
        yield installation
    finally:
        await installation.stop_processes()
        await installation.temporal.stop()
        await installation.postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=installation.api_url, timeout=60, trust_env=False) as http:
        yield http


async def is_ready(http: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        return (await http.get("/ready")).status_code == 200

    await until(ready, "the API is ready", 60)
