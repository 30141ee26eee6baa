"""Processes that are asked to stop, or killed, while they work."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from devenv.processes.ports import LOCALHOST, free_port
from devenv.processes.process import Process
from devenv.stack import Running
from ledger.ids import CustomerId
from ledger.workflow_ids import transfer_workflow_id
from serve import HTTP_STOP_SECONDS
from tests.api.people import Person, reaches
from tests.runbook.commands import STOP_SECONDS
from tests.runbook.fleet import (
    FUNDS,
    SMALL,
    Fleet,
    Sent,
    completed,
    ends_on,
    sent,
)
from tests.runbook.row_locks import a_step_waits, account_held
from tests.waiting import until


@asynccontextmanager
async def api_of(fleet: Fleet, person: Person, line: str, **variables: str) -> AsyncIterator[tuple[Process, Person]]:
    """An API process that this line starts, and the person as its client."""
    port = str(free_port())
    process = await fleet.start(line, says="api starts", variables={"REMIT_API_PORT": port, **variables})
    async with httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}", timeout=60, trust_env=False) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await until(ready, "the API is ready")
        yield process, replace(person, http=http)


async def test_a_worker_that_is_asked_to_stop_ends_the_step_that_it_runs(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    worker = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        transfer = await sent(payer, payee)
        await a_step_waits(stack.database_url)
        os.kill(worker.pid, signal.SIGTERM)
    await asyncio.wait_for(worker.ended(), STOP_SECONDS)
    assert worker.exit_code == 0
    await completed(payer, transfer)


async def test_the_step_of_a_worker_that_is_killed_is_repeated_elsewhere(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    worker = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        transfer = await sent(payer, payee)
        await a_step_waits(stack.database_url)
        worker.kill()
        await fleet.worker()
    await ends_on(fleet, transfer, None)
    assert await payee.balance() == SMALL


async def test_an_api_that_is_asked_to_stop_answers_who_waits(fleet: Fleet, payer: Person, payee: Person) -> None:
    async with api_of(fleet, payer, "remit api") as (api, client):
        key = secrets.token_hex(8)
        request = asyncio.create_task(client.pay(payee, SMALL, key, "wait=30"))

        async def accepted() -> bool:
            workflow_id = transfer_workflow_id(CustomerId(payer.id), key)
            found = await fleet.client.count_workflows(f"WorkflowId='{workflow_id}'")
            return found.count == 1

        await until(accepted, "the transfer is accepted")
        os.kill(api.pid, signal.SIGTERM)
        answer = await asyncio.wait_for(request, HTTP_STOP_SECONDS)
        assert (answer.status_code, answer.json()["state"]) == (202, "initiated")
        await asyncio.wait_for(api.ended(), STOP_SECONDS)
        assert api.exit_code == 0
    await fleet.worker()
    await reaches(payer, answer.json()["id"], "completed")


async def test_one_process_for_both_begins_transfers_itself_whichever_version_is_current(
    fleet: Fleet, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    await fleet.make_current(1)
    async with api_of(fleet, payer, "remit api --with-worker", REMIT_BUILD_ID=fleet.name(2)) as (_, client):
        transfer = await sent(client, payee, wait=30)
        await ends_on(fleet, transfer, 2)
        (begun, *_) = (await fleet.of(transfer).fetch_history()).events
        assert begun.workflow_execution_started_event_attributes.eager_execution_accepted


async def test_one_process_for_both_answers_beside_its_steps_and_stops_as_the_two_do_alone(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    one = {"REMIT_DATABASE_CONNECTIONS": "1"}
    async with api_of(fleet, payer, "remit api --with-worker", **one) as (both, client):
        async with account_held(stack.database_url, payee.account_id):
            request = asyncio.create_task(client.pay(payee, SMALL, prefer="wait=30"))
            await a_step_waits(stack.database_url)
            assert await client.balance() == FUNDS - SMALL
            os.kill(both.pid, signal.SIGTERM)
            answer = await asyncio.wait_for(request, HTTP_STOP_SECONDS)
            assert (answer.status_code, answer.json()["state"]) == (202, "debited")
        await asyncio.wait_for(both.ended(), STOP_SECONDS)
        assert both.exit_code == 0
    await fleet.worker()
    await completed(payer, Sent(answer.json()["id"], answer.json()["workflow_id"]))
