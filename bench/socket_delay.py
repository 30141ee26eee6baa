"""How long a change takes from PostgreSQL to an open socket: `remit bench --sockets`.

It runs the embedded stack in a folder of its own, opens sockets, and makes deposits: first one after the other, then by
many customers at once. The time is from the moment that a trigger writes the event, just before the commit, to its
arrival at the client: the same clock on one machine.
"""

import asyncio
import json
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from devenv.processes.ports import free_port
from devenv.processes.process import Say
from devenv.stack import Prepare, Stack
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

CUSTOMERS = 20
IDLE_DEPOSITS = 100
IDLE_PAUSE_SECONDS = 0.1
LOADED_SECONDS = 15
LAST_SECONDS = 5

IDLE_GOAL_MILLISECONDS, LOADED_GOAL_MILLISECONDS = 250, 1_000

CHANGED = "subscription { accountChanged { occurredAt } }"


class _Watched:
    """A customer with an open socket, and how long each of its messages took, in milliseconds."""

    def __init__(self, http: httpx.AsyncClient, account_id: str, token: str) -> None:
        self._http = http
        self._path = f"/v1/accounts/{account_id}/deposits"
        self._token = token
        self.milliseconds: list[float] = []
        self.deposits = 0

    async def deposit(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": secrets.token_hex(16)}
        answer = await self._http.post(self._path, json={"amount": 100, "currency": "USD"}, headers=headers)
        answer.raise_for_status()
        self.deposits += 1

    @asynccontextmanager
    async def watching(self, url: str) -> AsyncIterator[None]:
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
            signed = {"Authorization": f"Bearer {self._token}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": signed}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": CHANGED}}))

            async def read() -> None:
                async for message in socket:
                    arrived = datetime.now(UTC)
                    changed = json.loads(message)["payload"]["data"]["accountChanged"]
                    delay = arrived - datetime.fromisoformat(changed["occurredAt"])
                    self.milliseconds.append(delay.total_seconds() * 1000)

            reading = asyncio.create_task(read())
            try:
                yield
            finally:
                reading.cancel()


async def measure_sockets(prepare: Prepare, say: Say) -> bool:
    """Print the delays, idle and under load. False: a goal was missed, or something did not arrive."""
    with tempfile.TemporaryDirectory(prefix="remit-sockets-") as folder:
        settings = Settings.model_validate(
            {
                "home": Path(folder) / "home",
                "api_port": free_port(),
                "temporal_port": free_port(),
                "temporal_ui_port": free_port(),
                "sandbox_rails": True,
            }
        )
        stack = Stack(settings, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=say)
        async with (
            stack.running() as running,
            httpx.AsyncClient(base_url=running.api_url, timeout=60, trust_env=False) as http,
            AsyncExitStack() as sockets,
        ):
            watched = [await _registered(http) for _ in range(CUSTOMERS)]
            for each in watched:
                await sockets.enter_async_context(each.watching(running.api_url.replace("http", "ws", 1) + "/graphql"))
            await asyncio.sleep(1)
            for number in range(IDLE_DEPOSITS):
                await watched[number % CUSTOMERS].deposit()
                await asyncio.sleep(IDLE_PAUSE_SECONDS)
            is_good = await _report("idle", watched, IDLE_GOAL_MILLISECONDS, say)
            await asyncio.gather(*(_deposit_for(each, LOADED_SECONDS) for each in watched))
            return await _report("loaded", watched, LOADED_GOAL_MILLISECONDS, say) and is_good


async def _registered(http: httpx.AsyncClient) -> _Watched:
    body = {
        "email": f"{secrets.token_hex(8)}@example.com",
        "password": "correct horse battery",
        "full_name": "Ada Obi",
        "currency": "USD",
        "identity_document": {"type": "NIN", "number": "22334455667"},
    }
    answer = await http.post("/v1/auth/register", json=body)
    answer.raise_for_status()
    made = answer.json()
    return _Watched(http, made["account"]["id"], made["access_token"])


async def _deposit_for(each: _Watched, seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        await each.deposit()


async def _report(name: str, watched: list[_Watched], goal: int, say: Say) -> bool:
    """Print the figures of one phase, and forget them."""
    deposits = sum(each.deposits for each in watched)
    for _ in range(LAST_SECONDS * 10):
        if sum(len(each.milliseconds) for each in watched) >= deposits:
            break
        await asyncio.sleep(0.1)
    delays = sorted(delay for each in watched for delay in each.milliseconds)
    if not delays:
        say(f"{name}: nothing arrived")
        return False
    p50, p95 = (delays[int(len(delays) * part)] for part in (0.5, 0.95))
    say(
        f"{name}: {deposits} deposits, {len(delays)} messages on {CUSTOMERS} sockets; "
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms (goal {goal}), longest {delays[-1]:.0f} ms"
    )
    for each in watched:
        each.milliseconds, each.deposits = [], 0
    return len(delays) == deposits and p95 <= goal
