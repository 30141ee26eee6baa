"""The page on outages of servers and workers, and the one on a notification that fails."""

import os
import re
import secrets
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from devenv.processes.process import Process
from tests.api.people import Person, reaches, register, sent
from tests.runbook.commands import Runbook
from tests.runbook.installation import Installation, client, is_ready, remit, running_installation
from tests.runbook.row_locks import account_held, table_held
from tests.waiting import until

FUNDS, AMOUNT = 99_00, 10_00


@pytest.fixture(scope="module")
async def installation(open_folder: Path) -> AsyncIterator[Installation]:
    async with running_installation(open_folder / "outages") as installation:
        await installation.start_api()
        yield installation


@pytest.fixture
async def workers(installation: Installation) -> list[Process]:
    """Two running workers for each check: the check before may have killed some."""
    alive = installation.alive("worker")
    return alive + [await installation.start_worker() for _ in range(2 - len(alive))]


@pytest.fixture
async def http(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with client(installation) as http:
        await is_ready(http)
        yield http


@pytest.fixture
def runbook(installation: Installation) -> Runbook:
    return installation.runbook()


@pytest.fixture
async def payer(workers: list[Process], http: httpx.AsyncClient) -> Person:
    person = await register(http, full_name="Ada Obi")
    await person.deposit(FUNDS)
    return person


@pytest.fixture
async def payee(http: httpx.AsyncClient) -> Person:
    return await register(http, full_name="Ben Ola")


@pytest.fixture
async def temporal(installation: Installation) -> Client:
    return await Client.connect(installation.temporal.address)


def output(workers: list[Process]) -> str:
    return "".join(worker.child.log.read_text() for worker in workers)


async def pending(temporal: Client, workflow_id: str) -> str:
    """The pending step, and the worker of its last attempt."""
    found: list[tuple[str, str]] = []

    async def has() -> bool:
        described = await temporal.get_workflow_handle(workflow_id).describe()
        found[:] = [
            (one.activity_type.name, one.last_worker_identity) for one in described.raw_description.pending_activities
        ]
        return bool(found and found[0][1])

    await until(has, f"{workflow_id} has a pending activity")
    return " ".join(found[0])


async def test_while_postgresql_is_away_requests_get_503_and_what_is_in_flight_ends_afterwards(
    installation: Installation,
    http: httpx.AsyncClient,
    runbook: Runbook,
    workers: list[Process],
    payer: Person,
    payee: Person,
) -> None:
    async with account_held(installation.database_url, payee.account_id):
        transfer = await sent(payer, payee, AMOUNT, "debited")
        await installation.postgres.stop()
    key = secrets.token_hex(8)
    for answer in (await payer.pay(payee, AMOUNT, key), await payer.get("/v1/transfers"), await http.get("/ready")):
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert (await http.get("/health")).status_code == 200

    async def warned() -> bool:
        return re.search(r"warning .*credit_destination", output(workers)) is not None

    await until(warned, "a worker warns of a step without an answer")
    await installation.postgres.start()
    await is_ready(http)
    await reaches(payer, transfer["id"], "completed")
    assert (await payer.pay(payee, AMOUNT, key)).json()["state"] == "completed"
    assert (await payer.balance(), await payee.balance()) == (FUNDS - 2 * AMOUNT, 2 * AMOUNT)
    assert "Clean: every invariant holds." in await remit(runbook.environment, "verify")


async def test_while_temporal_is_away_only_what_moves_money_gets_503(
    installation: Installation, http: httpx.AsyncClient, payer: Person, payee: Person
) -> None:
    key, known = secrets.token_hex(8), secrets.token_hex(8)
    assert (await payer.pay(payee, AMOUNT, known)).json()["state"] == "completed"
    async with account_held(installation.database_url, payee.account_id):
        transfer = await sent(payer, payee, AMOUNT, "debited")
        installation.temporal.kill()
        answer = await payer.pay(payee, AMOUNT, key)
        assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
        assert await payer.balance() == FUNDS - 2 * AMOUNT
        assert (await payer.get(f"/v1/accounts/{payer.account_id}/entries")).status_code == 200
        repeated = await payer.pay(payee, AMOUNT, known)
        assert (repeated.status_code, repeated.headers["Idempotent-Replayed"]) == (201, "true")
        await installation.temporal.start()
    await is_ready(http)
    await reaches(payer, transfer["id"], "completed")
    assert (await payer.pay(payee, AMOUNT, key, prefer="wait=30")).json()["state"] == "completed"
    assert (await payer.balance(), await payee.balance()) == (FUNDS - 3 * AMOUNT, 3 * AMOUNT)


async def test_the_transfers_of_a_worker_that_was_killed_go_on_elsewhere(
    installation: Installation, temporal: Client, runbook: Runbook, workers: list[Process], payer: Person, payee: Person
) -> None:
    async with account_held(installation.database_url, payee.account_id):
        transfer = await sent(payer, payee, AMOUNT, "debited")
        step = await pending(temporal, transfer["workflow_id"])
        victim = next(worker for worker in workers if f" {worker.pid}@" in step)
        os.kill(victim.pid, signal.SIGKILL)
    await until_state(payer, transfer["id"], "completed", 15)
    described = await runbook.run("temporal task-queue describe --task-queue transfers")
    pollers = set(re.findall(r"(\d+)@", described))
    assert {str(worker.pid) for worker in workers} <= pollers
    assert "LastAccessTime" in described


async def test_without_any_worker_transfers_are_accepted_and_run_when_one_starts(
    installation: Installation, workers: list[Process], payer: Person, payee: Person
) -> None:
    for worker in workers:
        await worker.stop()
    answer = await payer.pay(payee, AMOUNT, prefer="wait=1")
    assert (answer.status_code, answer.json()["state"]) == (202, "initiated")
    await installation.start_worker()
    await reaches(payer, answer.json()["id"], "completed")


async def test_a_notification_that_fails_is_repeated_and_the_transfer_is_final_meanwhile(
    installation: Installation, temporal: Client, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with table_held(installation.database_url, "notifications") as hold:
        answer = await payer.pay(payee, AMOUNT, prefer="wait=10")
        assert (answer.status_code, answer.json()["state"]) == (201, "completed")
        transfer = answer.json()
        assert (await pending(temporal, transfer["workflow_id"])).startswith("notify_parties ")
        assert "Notifying the parties." in await details(runbook, transfer["workflow_id"])
        budget, longest = await patience(temporal, transfer["workflow_id"])
        assert (budget, longest) == (timedelta(days=7), timedelta(minutes=10))
        await hold.release()
        await temporal.get_workflow_handle(transfer["workflow_id"]).result()
    connection = await asyncpg.connect(installation.database_url)
    told = await connection.fetch("SELECT account_id FROM notifications WHERE transfer_id = $1", transfer["id"])
    await connection.close()
    assert sorted(row["account_id"] for row in told) == sorted((payer.account_id, payee.account_id))
    assert "not notified" not in await details(runbook, transfer["workflow_id"])


async def test_after_an_abandoned_notification_the_details_say_that_the_parties_were_not_notified(
    installation: Installation, temporal: Client, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with table_held(installation.database_url, "notifications"):
        transfer = await sent(payer, payee, AMOUNT, "completed")
        await pending(temporal, transfer["workflow_id"])
        await runbook.run("""temporal workflow cancel --workflow-id "$ID\"""", ID=transfer["workflow_id"])
        await temporal.get_workflow_handle(transfer["workflow_id"]).result()
    assert "The parties were not notified." in await details(runbook, transfer["workflow_id"])
    assert (await payer.balance(), await payee.balance()) == (FUNDS - AMOUNT, AMOUNT)


async def until_state(person: Person, transfer_id: str, state: str, seconds: float) -> None:
    async def has() -> bool:
        return bool((await person.get(f"/v1/transfers/{transfer_id}")).json()["state"] == state)

    await until(has, f"the transfer is {state}", seconds)


async def details(runbook: Runbook, workflow_id: str) -> str:
    return await runbook.run(
        "temporal workflow metadata --workflow-id 'transfer/cus_…/rent-november'",
        {"transfer/cus_…/rent-november": workflow_id},
    )


async def patience(temporal: Client, workflow_id: str) -> tuple[timedelta, timedelta]:
    """For how long the pending step repeats, and at which longest interval."""
    async for event in temporal.get_workflow_handle(workflow_id).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            budget, longest = scheduled.schedule_to_close_timeout, scheduled.retry_policy.maximum_interval
            return budget.ToTimedelta(), longest.ToTimedelta()
    raise AssertionError("no activity was scheduled")
