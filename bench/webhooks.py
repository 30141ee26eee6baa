"""Measures webhooks on a stack of its own: `python -m bench.webhooks`. Prints figures and their targets.

Times are from the commit of an event to its arrival at an endpoint, on one machine and by one clock. Every customer has
one endpoint and one account; deposits make the events.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import monotonic

import httpx

from bench.servers import forget_settings
from devenv.processes.ports import free_port
from devenv.stack import PROJECT

ENDPOINTS = 50
IDLE_EVENTS = 60
IDLE_PAUSE = 0.4
LOADED_SECONDS = 15
LOADED_PER_SECOND = 20
BACKLOG = 2_000
READY_SECONDS = 300

IDLE_TARGET_MS, DEAD_TARGET, BACKLOG_TARGET = 250, 1.2, 300


@dataclass
class WebhookArrivals:
    """What arrived: when, and how long after its commit, in milliseconds."""

    late: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept every webhook of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                body = json.loads(await reader.readexactly(length))
                now = datetime.now(UTC)
                self.late.append((now - datetime.fromisoformat(body["time"])).total_seconds() * 1000)
                self.at.append(monotonic())
                self.more.set()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        writer.close()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A dead endpoint: it takes the request, and never answers."""
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass
    writer.close()


@dataclass
class Payer:
    """A customer with an account and an endpoint, which wants completed transfers only."""

    http: httpx.AsyncClient
    account_id: str
    endpoint_id: str

    @classmethod
    async def made(cls, api: str, url: str) -> "Payer":
        """Register one."""
        http = httpx.AsyncClient(base_url=api, timeout=30, trust_env=False)
        body = {
            "email": f"{secrets.token_hex(8)}@example.com",
            "password": "correct horse battery",
            "full_name": "Ada Obi",
            "currency": "USD",
            "identity_document": {"type": "NIN", "number": "22334455667"},
        }
        made = (await http.post("/v1/auth/register", json=body)).raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {made['access_token']}"
        wanted = {"url": url, "types": ["transfer.completed"]}
        endpoint = (await http.post("/v1/webhook-endpoints", json=wanted)).raise_for_status().json()
        return cls(http, made["account"]["id"], endpoint["id"])

    async def deposit(self) -> bool:
        """One event, if it is completed within the answer."""
        answer = await self.http.post(
            f"/v1/accounts/{self.account_id}/deposits",
            json={"amount": 1, "currency": "USD"},
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        return answer.status_code == httpx.codes.CREATED and answer.json()["state"] == "completed"

    async def change(self, **changes: object) -> None:
        """Change the endpoint."""
        answer = await self.http.patch(f"/v1/webhook-endpoints/{self.endpoint_id}", json=changes)
        answer.raise_for_status()


@asynccontextmanager
async def stack() -> AsyncIterator[str]:
    """A stack of its own; its API's URL."""
    forget_settings()
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as folder:
        port = free_port()
        own = {
            "REMIT_HOME": f"{folder}/home",
            "REMIT_API_PORT": str(port),
            "REMIT_TEMPORAL_PORT": str(free_port()),
            "REMIT_TEMPORAL_UI_PORT": str(free_port()),
        }
        with Path(f"{folder}/log").open("wb") as log:  # noqa: ASYNC230 - once
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", "run"), env=dict(os.environ) | own, cwd=PROJECT, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False) as http:
                while True:
                    with suppress(httpx.HTTPError):
                        if (await http.get(f"http://127.0.0.1:{port}/ready")).status_code == httpx.codes.OK:
                            break
                    await asyncio.sleep(1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


async def arrived(arrivals: WebhookArrivals, count: int, within: int = 120) -> None:
    """Wait for so many."""
    try:
        async with asyncio.timeout(within):
            while len(arrivals.at) < count:
                arrivals.more.clear()
                await arrivals.more.wait()
    except TimeoutError:
        say(f"{len(arrivals.at)} of {count} arrived within {within} s")
        raise


def say(line: str) -> None:
    """Print a figure as soon as it is known."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def p95(values: Sequence[float]) -> float:
    """The value that one in twenty exceeds."""
    return quantiles(values, n=20)[-1]


async def measure_idle(payer: Payer, arrivals: WebhookArrivals) -> float:
    """One event now and then, to one endpoint."""
    for _ in range(IDLE_EVENTS):
        await payer.deposit()
        await asyncio.sleep(IDLE_PAUSE)
    await arrived(arrivals, IDLE_EVENTS)
    say(f"idle: p50 {median(arrivals.late):.0f} ms, p95 {p95(arrivals.late):.0f} ms (target {IDLE_TARGET_MS})")
    return p95(arrivals.late)


async def measure_loaded(payers: Sequence[Payer], arrivals: WebhookArrivals, alive: int) -> float:
    """Events for all endpoints in turn, at one rate. The p95 of those that are alive."""
    arrivals.late.clear()
    arrivals.at.clear()
    sent, began = 0, monotonic()
    pending: list[asyncio.Task[bool]] = []
    while monotonic() - began < LOADED_SECONDS:
        payer = payers[sent % len(payers)]
        pending.append(asyncio.create_task(payer.deposit()))
        sent += 1
        await asyncio.sleep(max(0, began + sent / LOADED_PER_SECOND - monotonic()))
    completed = await asyncio.gather(*pending)
    expected = sum(done and number % len(payers) < alive for number, done in enumerate(completed))
    say(f"{sum(completed)} of {len(completed)} deposits completed")
    await arrived(arrivals, expected)
    return p95(arrivals.late)


async def measure_backlog(payers: Sequence[Payer], arrivals: WebhookArrivals) -> float:
    """What was held while endpoints were disabled: how many a second once they are enabled. One endpoint at a time."""
    payer = payers[0]
    await payer.change(state="disabled")
    turns = asyncio.Semaphore(20)

    async def deposit(payer: Payer) -> bool:
        async with turns:
            return await payer.deposit()

    held = sum(await asyncio.gather(*(deposit(payer) for _ in range(BACKLOG))))
    await asyncio.sleep(2)
    arrivals.late.clear()
    arrivals.at.clear()
    began = monotonic()
    await payer.change(state="enabled")
    await arrived(arrivals, held)
    rate = held / (arrivals.at[-1] - began)
    say(f"backlog of one account at one endpoint: {rate:.0f} events/s (target {BACKLOG_TARGET})")
    return rate


async def main() -> int:
    """Measure all. 1: a target was missed."""
    arrivals = WebhookArrivals()
    receiver = await asyncio.start_server(arrivals.serve, "127.0.0.1", 0)
    dead = await asyncio.start_server(hang, "127.0.0.1", 0)
    url, nowhere = (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/" for server in (receiver, dead))
    async with stack() as api:
        first = await Payer.made(api, url)
        idle = await measure_idle(first, arrivals)
        payers = [first, *[await Payer.made(api, url) for _ in range(ENDPOINTS - 1)]]
        ratios = []
        for _ in range(2):
            await payers[-1].change(url=url, state="enabled")
            without = await measure_loaded(payers, arrivals, ENDPOINTS)
            await payers[-1].change(url=nowhere)
            with_dead = await measure_loaded(payers, arrivals, ENDPOINTS - 1)
            ratios.append(with_dead / without)
            say(f"{ENDPOINTS} endpoints: p95 {without:.0f} ms, with one dead {with_dead:.0f} ms")
            await payers[-1].change(state="disabled")
        say(f"one dead of {ENDPOINTS}: p95 of the others times {median(ratios):.2f} (target {DEAD_TARGET})")
        rate = await measure_backlog(payers, arrivals)
    return int(idle > IDLE_TARGET_MS or median(ratios) > DEAD_TARGET or rate < BACKLOG_TARGET)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
