"""One process of the benchmark: `python -m bench.systems NAME`, with its setting in the environment.

Each system serves `POST /v1/transfers` by the thinnest possible route, and accepts jobs that call it without HTTP.
"""

import asyncio
import importlib
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import uvicorn
import uvloop
from fastapi import FastAPI, Header
from pydantic import BaseModel

from bench.systems.system import Setting, System, Transfer
from bench.traffic.generator import create_generator
from bench.traffic.jobs import Job, new_keys, serve_jobs
from bench.traffic.load import Send
from bench.traffic.population import Holder, order_between, pairs, read
from ledger.fingerprints import Fingerprints
from ledger.transfers import TransferOrder

GENERATORS = ("load", "reads")
# Imported only in the process that runs it: DBOS is not installed in every environment.
SYSTEMS = {
    "floor": "bench.systems.floor:floor",
    "textbook": "bench.systems.textbook:textbook",
    "durable_functions": "bench.systems.durable_functions:durable_functions",
    "ledger_steps": "bench.systems.ledger_alone:ledger_steps",
    "one_transaction": "bench.systems.ledger_alone:one_transaction",
}
VARIABLE = "REMIT_BENCH_SETTING"


class BenchTransferIn(BaseModel):
    """The same request body as Remit's."""

    source_account_id: str
    destination_account_id: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class BenchTransferOut:
    """The smallest useful answer."""

    id: str
    state: str


def signing(transfer: Transfer, fingerprints: Fingerprints) -> Transfer:
    """The same way to make a transfer, of an order that is signed first, as the API does."""

    async def sign_and_transfer(order: TransferOrder) -> str:
        return await transfer(fingerprints.signed(order))

    return sign_and_transfer


def thin_route(app: FastAPI, transfer: Transfer, holders: list[Holder]) -> None:
    """Start a transfer, wait for it, answer. Without authentication, problem responses and limits."""
    by_account = {holder.account_id: holder for holder in holders}

    @app.post("/v1/transfers", status_code=201)
    async def post(wanted: BenchTransferIn, idempotency_key: Annotated[str, Header()]) -> BenchTransferOut:
        accounts = wanted.source_account_id, wanted.destination_account_id
        source, destination = (by_account[account] for account in accounts)  # type: ignore[index]
        order = order_between((source, destination), idempotency_key)
        return BenchTransferOut(order.transfer_id, await transfer(order))


def direct(ways: dict[str, Transfer], holders: list[Holder], job: Job) -> Send:
    """Sends the same transfers by direct calls, without HTTP."""
    draw, key, transfer = pairs(job.choice, holders, job.load.seed), new_keys(), ways[job.way]

    async def send() -> str:
        try:
            return await transfer(order_between(draw(), key()))
        except Exception as error:  # noqa: BLE001 - counted and shown as an answer
            return type(error).__name__

    return send


async def serve(name: str, setting: Setting) -> None:
    """Run a system or a load generator until SIGTERM."""
    holders = read(setting.population)
    async with AsyncExitStack() as stack:
        if name in GENERATORS:
            app = create_generator(holders, stack)
        else:
            module, _, function = SYSTEMS[name].partition(":")
            system: System = getattr(importlib.import_module(module), function)
            found = await stack.enter_async_context(system(setting))
            ways = {name: signing(transfer, setting.fingerprints) for name, transfer in found.items()}
            app = FastAPI(openapi_url=None)
            thin_route(app, next(iter(ways.values())), holders)
            serve_jobs(app, lambda job: direct(ways, holders, job))
        config = uvicorn.Config(
            app, host="127.0.0.1", port=setting.port, log_level="warning", access_log=False, lifespan="off"
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the setting from the environment, because it contains a password."""
    found = json.loads(os.environ[VARIABLE])
    setting = Setting(**found | {"population": Path(found["population"])})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], setting))


if __name__ == "__main__":
    main()
