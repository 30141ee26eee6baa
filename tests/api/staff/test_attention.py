"""What needs a person's attention: one list and one gauge, with what is stuck in it and nothing else."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from api.http import metrics as gauges
from database.connections import Database
from devenv.demo.postgres import holding
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.ids import AccountId
from ledger.postgres.book import Book
from ledger.recovery import Stranded
from ledger.transfers import State, TransferOrder
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, reaches, register, running_api
from tests.orders import promoted
from tests.waiting import until
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES
from workflows.transfer.saga import TransferWorkflow

LIST = "/v1/admin/transfers"


@pytest.fixture(autouse=True)
def fresh_gauge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "KEPT_SECONDS", 0.1)
    gauges.NEEDING_ATTENTION.clear()


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Stuck after a second; review from 100.00 on."""
    hasty = settings.model_copy(update={"stuck_after_seconds": 1, "review_from_major": 100})
    async with running_api(hasty, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    person = await register(http)
    for _ in range(4):
        await person.deposit(9_000)
    return person


async def listed(staff: Person, **filters: object) -> list[str]:
    answer = await staff.get(LIST, needs_attention="true", **filters)
    assert answer.status_code == 200, answer.text
    return [transfer["id"] for transfer in answer.json()["items"]]


async def gauge(http: httpx.AsyncClient) -> str | None:
    scraped = (await http.get("/metrics")).text
    found = [line for line in scraped.splitlines() if line.startswith("remit_transfers_needing_attention{")]
    return found[0].split()[-1] if found else None


async def becomes(staff: Person, wanted: set[str], count: str) -> None:
    async def has_become() -> bool:
        return set(await listed(staff)) == wanted and await gauge(staff.http) == count

    await until(has_become, f"{count} need attention")


async def test_a_stuck_transfer_is_listed_and_counted_until_it_recovers_and_one_in_review_is_not(
    ada: Person, ben: Person, operator: Person, book: Book
) -> None:
    reviewed = str((await ada.pay(ben, 15_000, prefer="wait=0")).json()["id"])
    async with holding(book.database, AccountId(ben.account_id)):
        stuck = [str((await ada.pay(ben, 100 + n, prefer="wait=0")).json()["id"]) for n in range(3)]
        await becomes(operator, set(stuck), "3.0")
        others = (await operator.get(LIST, needs_attention="false", state="in_review")).json()["items"]
        assert [transfer["id"] for transfer in others] == [reviewed]
        assert await listed(operator, state="debited", max_amount=101) == stuck[1::-1]
    await becomes(operator, set(), "0.0")
    await operator.post(f"{LIST}/{reviewed}/cancel", {"reason": "ticket 4711"})


async def test_a_stuck_transfer_tells_its_step_its_failure_and_who_holds_the_row(
    ada: Person, ben: Person, operator: Person, book: Book
) -> None:
    answered: dict[str, Any] = {}
    async with holding(book.database, AccountId(ben.account_id)):
        stuck = str((await ada.pay(ben, 100, prefer="wait=0")).json()["id"])

        async def is_notified() -> bool:
            answer = await operator.get(f"{LIST}/{stuck}/pending-step")
            assert answer.status_code == 200, answer.text
            answered.update(answer.json())
            return bool(answered["pending"] and answered["pending"]["failure"])

        await until(is_notified, "the step has failed")
    assert answered["pending"]["step"] == "credit_destination"
    assert "Lock" in answered["pending"]["failure"]
    (holder,) = answered["holders"]
    # The API's role may not read how old the transaction of another session is.
    assert (holder["account_id"], holder["application"], holder["seconds"]) == (ben.account_id, "remit", None)
    assert holder["pid"] > 0
    await reaches(ada, stuck, "completed")
    assert (await operator.get(f"{LIST}/{stuck}/pending-step")).json() == {"pending": None, "holders": []}


async def test_pages_of_the_list_hold_everything_once(ada: Person, ben: Person, operator: Person, book: Book) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        stuck = [str((await ada.pay(ben, 100 + n, prefer="wait=0")).json()["id"]) for n in range(3)]
        await becomes(operator, set(stuck), "3.0")
        seen, cursor = list[str](), None
        while True:
            page = (
                await operator.get(LIST, needs_attention="true", limit=2, **({"cursor": cursor} if cursor else {}))
            ).json()
            seen += [transfer["id"] for transfer in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == stuck[::-1]


async def test_a_stuck_transfer_that_recovery_drives_is_listed_too(
    ada: Person, ben: Person, operator: Person, book: Book, client: Client
) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        moving = (await ada.pay(ben, 100, prefer="wait=0")).json()
        await becomes(operator, {moving["id"]}, "1.0")
        handle = client.get_workflow_handle(moving["workflow_id"])
        described = await handle.describe()
        order = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes.input
        (wanted,) = await client.data_converter.decode(order.payloads, [TransferOrder])
        await handle.terminate("by an operator")
        await becomes(operator, set(), "0.0")
        await client.start_workflow(
            TransferWorkflow.run,
            wanted,
            id=Stranded(wanted, State.DEBITED).recovery_id,
            task_queue=described.task_queue,
        )
        await becomes(operator, {moving["id"]}, "1.0")
    await becomes(operator, set(), "0.0")


async def test_while_temporal_is_away_the_list_is_a_503_and_metrics_come_without_the_gauge(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    server = TemporalServer(
        await temporal_binary(settings.cache, print, settings.temporal_cli),
        log=tmp_path / "temporal.log",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        there = settings.model_copy(update={"temporal_address": server.address})
        http = await stack.enter_async_context(running_api(there, database, worker=False))
        admin = await register(http)
        await promoted(database, admin.id, Role.ADMIN)
        assert (await listed(admin), await gauge(http)) == ([], "0.0")
        os.kill(server.pid, signal.SIGSTOP)  # it hangs: worse than a refused connection
        try:
            await asyncio.sleep(gauges.KEPT_SECONDS)
            async with asyncio.timeout(gauges.LIMIT_SECONDS + 2):
                assert await gauge(http) is None
            away = await admin.get(LIST, needs_attention="true")
            assert (away.status_code, away.json()["code"]) == (503, "temporal_unavailable")
            assert int(away.headers["Retry-After"]) > 0
            assert (await admin.get(LIST)).status_code == 200
        finally:
            os.kill(server.pid, signal.SIGCONT)

        async def is_back() -> bool:
            return await gauge(http) == "0.0"

        await until(is_back, "the gauge is back")
