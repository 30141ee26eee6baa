"""More processes of Remit on the stack's servers, with other settings and a separate task queue."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from devenv.home import Home
from devenv.processes.ports import free_port
from tests.api.people import Person
from tests.waiting import until


@dataclass
class ExtraProcess:
    """A process's log, the address of its API, and its pid."""

    log: Path
    url: str
    pid: int = 0

    async def is_ready(self) -> bool:
        """Whether its API accepts transfers."""
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                return (await http.get(f"{self.url}/ready")).status_code == 200
        except httpx.TransportError:
            return False

    @asynccontextmanager
    async def at_its_api(self, person: Person) -> AsyncIterator[Person]:
        """The same person with the same token, at this API."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as http:
            yield Person(http, person.id, person.account_id, person.token, person.email)


@dataclass
class ExtraProcesses:
    """Starts such processes. They share one task queue that no other process uses."""

    environment: Mapping[str, str]
    home: Path
    task_queue: str = field(default_factory=lambda: f"beside-{secrets.token_hex(4)}")

    @asynccontextmanager
    async def running(self, *arguments: str, **settings: str) -> AsyncIterator[ExtraProcess]:
        """Run `remit` with these arguments until the block ends. Settings are environment variables."""
        port = free_port()
        process = ExtraProcess(self.home / "log" / f"{self.task_queue}-{port}.log", f"http://127.0.0.1:{port}")
        known = {
            "REMIT_JWT_SECRET": Home(self.home).jwt_secret(),
            "REMIT_TASK_QUEUE": self.task_queue,
            "REMIT_API_PORT": str(port),
            # A stack with sandbox rails counts requests to other limits, in the same windows.
            "REMIT_RATE_LIMIT": "1000000",
            "REMIT_STRICT_RATE_LIMIT": "1000000",
        }
        with process.log.open("w") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", *arguments),
                env={**self.environment, **known, **settings},
                stdout=log,
                stderr=log,
            )
        process.pid = child.pid
        try:
            if arguments[0] == "api":
                await until(process.is_ready, "the API is ready")
            yield process
        finally:
            with suppress(ProcessLookupError):  # a test may have killed it
                child.terminate()
            await child.wait()
