"""Jobs: a process runs one load on request over HTTP. It answers with lines of progress, and the tally last."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from bench.traffic.load import Load, Send, Tally, run_load
from bench.traffic.population import Choice

# Added to the load's own duration: its last answers may take 30 s.
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Job:
    """A load and its target: the request `way` to the server on `port`, or, without a port, a call in the process."""

    load: Load
    choice: Choice = Choice.UNIFORM
    port: int = 0
    way: str = ""


class JobFailed(Exception):
    """The process returned no tally."""


def new_keys() -> Callable[[], str]:
    """Idempotency keys that no other load of this run uses."""
    name, number = secrets.token_hex(4), 0

    def key() -> str:
        nonlocal number
        number += 1
        return f"{name}-{number}"

    return key


def serve_jobs(app: FastAPI, sending: Callable[[Job], Send]) -> None:
    """Let the app take jobs at `POST /load`."""

    @app.post("/load")
    async def load(request: Request) -> StreamingResponse:
        asked = await request.json()
        job = Job(Load(**asked.pop("load")), Choice(asked.pop("choice")), **asked)
        return StreamingResponse(_lines(job, sending(job)))


async def _lines(job: Job, send: Send) -> AsyncIterator[str]:
    lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def progress(tally: Tally) -> None:
        lines.put_nowait({"sent": tally.sent, "good": tally.good})

    running = asyncio.create_task(run_load(job.load, send, progress))
    running.add_done_callback(lambda _: lines.put_nowait({}))
    try:
        while line := await lines.get():
            yield json.dumps(line) + "\n"
        yield json.dumps({"tally": (await running).summary()}) + "\n"
    finally:
        running.cancel()


async def ask(port: int, job: Job, progress: Callable[[dict[str, int]], None] = lambda _: None) -> dict[str, Any]:
    """Run the job in the process that listens on `port`. Returns the tally's summary. Raises `JobFailed`."""
    tally: dict[str, Any] | None = None
    try:
        async with (
            asyncio.timeout(job.load.seconds + PATIENCE_SECONDS),
            httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http,
            http.stream("POST", f"http://127.0.0.1:{port}/load", json=asdict(job)) as answer,
        ):
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                message = json.loads(line)
                if "tally" in message:
                    tally = message["tally"]
                else:
                    progress(message)
    except (httpx.HTTPError, TimeoutError) as error:
        raise JobFailed(f"{type(error).__name__}: {error}") from error
    if tally is None:
        raise JobFailed("the process ended its answer without a tally")
    return tally
