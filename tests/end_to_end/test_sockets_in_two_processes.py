"""A process of the API is killed under an open socket: its client goes on at the other one."""

import asyncio
import os
import secrets
import signal
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from database.connections import WORKER_ROLE, Database
from devenv.servers.temporal_server import TemporalServer
from events.postgres.sequencer import number_all
from ledger.ids import CustomerId
from notifications.postgres import write_notification
from tests.api.live.serving import ADDED, signed_in
from tests.api.people import Person, register
from tests.orders import FINGERPRINT_KEY
from tests.runbook.processes import ExtraProcesses

pytestmark = pytest.mark.system

NAMES = [f"event-{number}" for number in range(100)]
KILLED_AFTER = 30


async def tell_all(database_url: str, person: Person) -> None:
    """As fast as they are written, in transactions of their own."""
    async with Database(database_url, 2, "test-steps", role=WORKER_ROLE) as steps:
        for name in NAMES:
            async with steps.transaction() as connection:
                await write_notification(connection, CustomerId(person.id), name, f"This is {name}.")
            assert await number_all(steps)


@pytest.mark.long
async def test_a_client_of_a_killed_process_goes_on_at_the_other_and_misses_and_repeats_nothing(
    database_url: str, database: Database, temporal: TemporalServer, tmp_path: Path
) -> None:
    (tmp_path / "log").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")} | {
        "REMIT_DATABASE_URL": database_url,
        "REMIT_TEMPORAL_ADDRESS": temporal.address,
        "REMIT_FINGERPRINT_KEYS": FINGERPRINT_KEY,
        "REMIT_SANDBOX_RAILS": "true",
    }
    both = ExtraProcesses(environment, tmp_path, task_queue=f"test-{secrets.token_hex(6)}")
    async with both.running("api") as first, both.running("api") as second:
        async with httpx.AsyncClient(base_url=first.url, timeout=60, trust_env=False) as http:
            ada = await register(http)
            assert await number_all_of(database_url)
            page = await ada.post("/graphql", {"query": "{ getNotifications { streamCursor } }"})
            cursor = page.json()["data"]["getNotifications"]["streamCursor"]
        got: list[str] = []
        telling: asyncio.Task[None] | None = None

        async def follow(url: str) -> None:
            nonlocal cursor, telling
            async with signed_in(url.replace("http", "ws", 1) + "/graphql", ada.token) as socket:
                await socket.subscribe(ADDED, cursor)
                telling = telling or asyncio.create_task(tell_all(database_url, ada))
                while len(got) < len(NAMES):
                    added = await socket.next(10)
                    got.append(added["notification"]["occasion"])
                    cursor = added["cursor"]
                    if len(got) == KILLED_AFTER:
                        os.kill(first.pid, signal.SIGKILL)

        try:
            await follow(first.url)
        except (ConnectionClosed, OSError):
            assert len(got) >= KILLED_AFTER
        assert len(got) < len(NAMES), "the process died before all had arrived"
        await follow(second.url)
        assert telling is not None
        await telling
    assert got == NAMES


async def number_all_of(database_url: str) -> bool:
    """Number what has happened so far: no worker runs."""
    async with Database(database_url, 1, "test-steps", role=WORKER_ROLE) as steps:
        return await number_all(steps)
