"""The pages on health and metrics, and on finding and reading a transfer."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from devenv.home import Home
from devenv.stack import Running
from ledger.ids import CustomerId
from ledger.transfers import TransferOrder
from ledger.workflow_ids import transfer_workflow_id
from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.runbook.row_locks import account_held
from tests.runbook.transfers import described, details, ends_as, events, is_pending
from tests.waiting import until
from workflows.transfer.saga import TransferWorkflow

Look = Callable[[], Awaitable[str]]

AMOUNT = 12_55
LARGE = 1000_00
DEPOSITED = 1980_00


@dataclass
class Standing:
    """The workflow IDs of three transfers of one payer: one that completed, one in review, and one that is stuck."""

    done: str
    reviewed: str
    stuck: str


@pytest.fixture
async def standing(stack: Running, runbook: Runbook, payer: Person, payee: Person) -> AsyncIterator[Standing]:
    done = (await payer.pay(payee, AMOUNT, "rent-november")).json()
    reviewed = (await payer.get(f"/v1/transfers/{await in_review(payer, payee, LARGE)}")).json()
    async with account_held(stack.database_url, payee.account_id):
        stuck = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await is_pending(runbook, stuck["workflow_id"], "credit_destination")
        yield Standing(done["workflow_id"], reviewed["workflow_id"], stuck["workflow_id"])
    await reaches(payer, stuck["id"], "completed")


async def finds(look: Look, *wanted: str, without: tuple[str, ...] = ()) -> None:
    """Wait until a list contains these, and check that it lacks the others: Temporal's lists lag."""
    printed: list[str] = []

    async def names_all() -> bool:
        printed[:] = [await look()]
        return all(each in printed[0] for each in wanted)

    await until(names_all, f"the list names {wanted}")
    assert not [each for each in without if each in printed[0]]


async def test_filters_find_what_waits_and_why(standing: Standing, runbook: Runbook) -> None:
    async def in_review() -> str:
        return await runbook.run(
            """temporal workflow list --query "TransferState='in_review' AND ExecutionStatus='Running'\""""
        )

    async def debited() -> str:
        return await runbook.run(
            """temporal workflow list --query "TransferState='debited' AND ExecutionStatus='Running'\""""
        )

    async def stuck() -> str:
        return await runbook.run(
            """temporal workflow list --query "NeedsAttention=true AND ExecutionStatus='Running'\""""
        )

    await finds(in_review, standing.reviewed, without=(standing.done, standing.stuck))
    await finds(debited, standing.stuck, without=(standing.done, standing.reviewed))
    await finds(stuck, standing.stuck, without=(standing.done, standing.reviewed))


async def test_filters_find_whose_it_is_and_how_much_and_since_when(
    standing: Standing, runbook: Runbook, payer: Person, payee: Person
) -> None:
    everything = (standing.done, standing.reviewed, standing.stuck)

    async def by_accounts() -> str:
        line = """temporal workflow list --query "SourceAccount='acc_…' OR DestinationAccount='acc_…'\""""
        return await runbook.run(line, {"acc_…": (payee.account_id, payee.account_id)})

    async def by_amount() -> str:
        return await runbook.run("""temporal workflow list --query "Currency='USD' AND AmountMinor >= 100000\"""")

    async def by_customer() -> str:
        line = """temporal workflow list --query "WorkflowId STARTS_WITH 'transfer/cus_…/'\""""
        return await runbook.run(line, {"cus_…": payer.id})

    async def by_start(before: datetime) -> str:
        line = """temporal workflow list --query "ExecutionStatus='Running' AND StartTime < '2026-11-21T00:00:00Z'\""""
        return await runbook.run(line, {"2026-11-21T00:00:00Z": f"{before:%Y-%m-%dT%H:%M:%SZ}"})

    now = datetime.now(UTC)
    await finds(by_accounts, *everything)
    await finds(by_amount, standing.reviewed, without=(standing.done, standing.stuck))
    await finds(by_customer, *everything)
    await finds(lambda: by_start(now + timedelta(hours=1)), standing.reviewed, standing.stuck, without=(standing.done,))
    await finds(lambda: by_start(now - timedelta(hours=1)), without=everything)


async def test_the_ledger_lists_what_waits_with_where_it_is_and_metrics_say_for_how_long(
    standing: Standing, runbook: Runbook, http: httpx.AsyncClient, payer: Person
) -> None:
    line = """curl -s "$API/v1/admin/transfers?older_than_seconds=60" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
    waiting = json.loads(await runbook.run(line, {"=60": f"=1&owner_id={payer.id}"}))["items"]
    assert {each["workflow_id"] for each in waiting} == {standing.stuck, standing.reviewed}
    addresses = {each["workflow_id"]: each["temporal_url"] for each in waiting}
    assert addresses[standing.stuck].endswith(f"/workflows/{quote(standing.stuck, safe='')}")
    scraped = await metrics(http)
    for state in ("debited", "in_review"):
        assert scraped[f'remit_transfers_not_final_longest_seconds{{state="{state}"}}'] > 1


async def test_while_temporal_is_away_it_is_alive_and_not_ready_and_both_are_counted(
    stack: Running, http: httpx.AsyncClient
) -> None:
    before = await metrics(http)
    os.kill(stack.pids["temporal"], signal.SIGSTOP)
    try:
        health, ready = await http.get("/health"), await http.get("/ready")
    finally:
        os.kill(stack.pids["temporal"], signal.SIGCONT)
    assert health.status_code == 200
    assert (ready.status_code, ready.json()["code"]) == (503, "temporal_unavailable")

    refused = 1

    async def is_ready() -> bool:
        nonlocal refused
        answer = await http.get("/ready")
        refused += answer.status_code == 503
        return answer.status_code == 200

    await until(is_ready, "the API is ready again")
    after = await metrics(http)
    for counted, times in (('route="/health",status="200"', 1), ('route="/ready",status="503"', refused)):
        name = f'remit_http_requests_total{{method="GET",{counted}}}'
        assert after[name] == before.get(name, 0) + times


async def test_a_worker_is_healthy_where_temporal_has_heard_of_it(runbook: Runbook) -> None:
    await runbook.run("python deploy/healthcheck.py worker")
    nobody = await runbook.run("python deploy/healthcheck.py worker", exits=1, REMIT_TASK_QUEUE="nobody-asks")
    assert "asks for work" in nobody


async def test_every_invariant_holds(environment: Mapping[str, str], payer: Person, payee: Person) -> None:
    await payer.pay(payee, AMOUNT)
    process = await asyncio.create_subprocess_exec(
        "remit", "verify", env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    assert "every invariant holds" in printed.decode()


async def test_a_successful_transfer_logs_its_requests_only_and_a_step_without_an_answer_logs_the_reason(
    stack: Running, home: Path, runbook: Runbook, payer: Person, payee: Person
) -> None:
    log = Home(home).log("worker")
    before = log.read_text() if log.exists() else ""
    done = (await payer.pay(payee, AMOUNT)).json()
    await ends_as(runbook, done["workflow_id"], "COMPLETED")
    written = log.read_text().removeprefix(before) if log.exists() else ""
    assert not [name for name in (done["id"], done["workflow_id"]) if name in written]
    assert payer.id in Home(home).log("api").read_text()
    async with account_held(stack.database_url, payee.account_id):
        held = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await is_pending(runbook, held["workflow_id"], "credit_destination")

        async def says_why() -> bool:
            return "LockNotAvailableError" in log.read_text().removeprefix(before)

        await until(says_why, "the log says why")
    await reaches(payer, held["id"], "completed")


async def metrics(http: httpx.AsyncClient) -> dict[str, float]:
    lines = (await http.get("/metrics")).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def test_a_healthy_transfer_has_one_marker_for_each_step(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    sent = (await payer.pay(payee, AMOUNT, "rent-november")).json()
    done = sent["workflow_id"]
    assert done == transfer_workflow_id(CustomerId(payer.id), "rent-november")
    await ends_as(runbook, done, "COMPLETED")
    shown = await described(runbook, done)
    assert f'StaticSummary  "$12.55 {payer.account_id} → {payee.account_id}, {sent["id"]}"' in shown
    assert await details(runbook, done) == "Completed: the amount is with the destination."
    happened = await events(runbook, done)
    assert "ActivityTaskScheduled" not in happened
    shown_steps = await markers(stack, done)
    names = [json.loads(marker["data"])["activity_type"] for marker in shown_steps]
    assert set(names[:2]) == {"open_transfer", "screen_transfer"}  # both begin at once
    assert names[2:] == ["debit_source", "credit_destination", "notify_parties"]
    assert happened.count("MarkerRecorded") == len(shown_steps)
    assert '"state":"completed"' in shown_steps[3]["result"]


async def markers(stack: Running, workflow_id: str) -> list[dict[str, str]]:
    """The contents of each marker in the history."""
    client = await Client.connect(stack.temporal_address)
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    found = [event.marker_recorded_event_attributes for event in history.events]
    return [
        {name: b"".join(payload.data for payload in held.payloads).decode() for name, held in each.details.items()}
        for each in found
        if each.marker_name
    ]


async def test_a_reviewed_transfer_has_a_marker_for_each_step(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    transfer_id = await in_review(payer, payee, 150_00)
    approve = """act transfers/$TRF/decisions '{"ruling": "approve", "reason": "ticket 4711"}'"""
    await runbook.run(approve, TRF=transfer_id)
    await reaches(payer, transfer_id, "completed")
    workflow_id = str((await payer.get(f"/v1/transfers/{transfer_id}")).json()["workflow_id"])
    await ends_as(runbook, workflow_id, "COMPLETED")
    steps = [json.loads(marker["data"])["activity_type"] for marker in await markers(stack, workflow_id)]
    assert set(steps[:2]) == {"open_transfer", "screen_transfer"}  # they run at once
    assert [step for step in steps[2:] if step != "notify_parties"] == [
        "screen_with_facts",
        "begin_review",
        "read_review",
        "debit_source",
        "credit_destination",
    ]


async def test_a_transfer_that_failed_is_a_completed_workflow(runbook: Runbook, payer: Person, payee: Person) -> None:
    failed = (await payee.pay(payer, AMOUNT)).json()
    assert failed["state"] == "failed"
    await ends_as(runbook, failed["workflow_id"], "COMPLETED")
    assert re.search(
        r'TransferState:[^}]*} [^}]*} data:"\\"failed\\""', await described(runbook, failed["workflow_id"])
    )


async def test_an_order_that_does_not_match_its_row_is_a_failed_workflow_and_moves_nothing(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    done = (await payer.pay(payee, AMOUNT)).json()
    client = await Client.connect(stack.temporal_address)
    handle = client.get_workflow_handle(done["workflow_id"])
    given = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    (order,) = await client.data_converter.decode(given.input.payloads, [TransferOrder])
    other = f"{done['workflow_id']}-other"
    await client.start_workflow(
        TransferWorkflow.run,
        replace(order, amount_minor=AMOUNT + 1),
        id=other,
        task_queue=given.task_queue.name,
    )
    await ends_as(runbook, other, "FAILED")
    assert "OrderForged" in await described(runbook, other)
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED - AMOUNT, AMOUNT)


async def test_temporal_forgets_after_a_day_and_the_books_keep_everything(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    client = await Client.connect(stack.temporal_address)
    asked = DescribeNamespaceRequest(namespace="default")
    kept_for = (await client.workflow_service.describe_namespace(asked)).config.workflow_execution_retention_ttl
    assert kept_for.ToTimedelta() == timedelta(days=1)
    done = (await payer.pay(payee, AMOUNT)).json()
    line = """curl -s "$API/v1/admin/transfers/trf_…" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
    file = json.loads(await runbook.run(line, {"trf_…": done["id"]}))
    assert [len(file[part]) for part in ("postings", "entries", "messages", "actions")] == [2, 2, 2, 0]
    printed = await runbook.run(
        """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT * FROM transfers WHERE id = 'trf_…'" \\
  -c "SELECT leg, debit_account_id, credit_account_id, amount_minor, recorded_at FROM postings WHERE transfer_id = 'trf_…' ORDER BY recorded_at\"""",
        {"trf_…": done["id"]},
    )
    assert re.findall(r"^ (debit|credit) ", printed, re.MULTILINE) == ["debit", "credit"]
    assert done["workflow_id"] in printed
