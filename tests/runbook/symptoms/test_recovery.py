"""The page on recovery: transfers that lost their workflow, and workflows that people terminate or reset."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from customers.postgres import Customers
from database.connections import Database
from devenv.stack import Running
from ledger.ids import TransferId
from ledger.postgres.book import Book
from ledger.transfers import Step, TransferOrder
from ledger.workflow_ids import recovery_workflow_id
from staff.postgres.reversal_record import record_reversal
from tests.api.people import Person, in_review, reaches, register, sent
from tests.orders import ENCRYPTION, FINGERPRINTS, funded, holder, order
from tests.runbook.commands import Runbook
from tests.runbook.conftest import FOUR_EYES_FROM, REVIEW_FROM
from tests.runbook.installation import remit
from tests.runbook.row_locks import Held, account_held, transfer_held
from tests.waiting import until
from workflows.sweeps.schedules import RECOVERY_SCHEDULE

SMALL, REVIEWED, BY_TWO = 10_00, (REVIEW_FROM + 10) * 100, FOUR_EYES_FROM * 100
FUNDS = 99_00
AT_MOST = 500


class Recovery:
    """Recovery as an operator sees it: its schedule, and its runs with their results."""

    def __init__(self, runbook: Runbook) -> None:
        self._runbook = runbook
        self._known: set[str] = set()

    async def sweep(self) -> dict[str, Any]:
        """The result of a run that starts after this call. A run's ID contains the second of its start."""

        async def has_a_name_of_its_own() -> bool:
            return f"recovery-{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" not in self._known

        async def is_listed() -> bool:
            return not self._known.issuperset(await self._runs())

        self._known.update(await self._runs())
        await until(has_a_name_of_its_own, "the next second begins")
        await self._runbook.run("temporal schedule trigger  --schedule-id recovery")
        await until(is_listed, "Temporal lists a new run of recovery")
        (run,) = set(await self._runs()) - self._known
        return await self._result(run)

    async def sweep_until_it_finds(self, transfer_id: str) -> dict[str, Any]:
        """Trigger runs until one finds the transfer: a run ignores recent changes."""
        done: list[dict[str, Any]] = []

        async def found() -> bool:
            done.append(await self.sweep())
            return transfer_id in (*done[-1]["abandoned"], *done[-1]["driven_on"], *done[-1]["unanswered"])

        await until(found, f"recovery finds {transfer_id}")
        return done[-1]

    async def _result(self, run: str) -> dict[str, Any]:
        told = await self._runbook.run(
            "temporal workflow result --workflow-id 'recovery-2026-11-21T05:10:50Z'",
            {"recovery-2026-11-21T05:10:50Z": run},
        )
        result = re.search(r"\{.*\}", told)
        assert result, told
        done = dict(json.loads(result[0])) | {"run": run}
        return done | {name: done[name] or [] for name in ("abandoned", "driven_on", "disputes")}

    async def describe(self) -> dict[str, str]:
        told = await self._runbook.run("temporal schedule describe --schedule-id recovery")
        return {found[1]: found[2].strip() for found in re.finditer(r"^ +(\w+)  +(.*)$", told, re.MULTILINE)}

    async def _runs(self) -> list[str]:
        """The runs of recovery, newest first."""
        listed = await self._runbook.run(
            """temporal workflow list --query "WorkflowType='RecoveryWorkflow'" --limit 5"""
        )
        return re.findall(r"recovery-\S+", listed)


@dataclass
class Lost:
    """A transfer in transit whose workflow somebody terminated; its destination is locked."""

    transfer: dict[str, Any]
    hold: Held

    @property
    def id(self) -> str:
        return str(self.transfer["id"])

    @property
    def recovery_id(self) -> str:
        return recovery_workflow_id(TransferId(self.id), 1)


@pytest.fixture
def recovery(runbook: Runbook) -> Recovery:
    return Recovery(runbook)


@pytest.fixture
async def payer(http: httpx.AsyncClient) -> Person:
    """A customer with `FUNDS`, an amount that nobody reviews."""
    person = await register(http, full_name="Ada Obi")
    await person.deposit(FUNDS)
    return person


@pytest.fixture
def log(home: Path) -> Path:
    return home / "log" / "worker.log"


@pytest.fixture
async def lost(stack: Running, runbook: Runbook, payer: Person, payee: Person) -> AsyncIterator[Lost]:
    async with account_held(stack.database_url, payee.account_id) as hold:
        transfer = await sent(payer, payee, SMALL, "debited")
        await terminate(runbook, transfer["workflow_id"])
        yield Lost(transfer, hold)


@pytest.fixture
async def temporal(stack: Running) -> Client:
    return await Client.connect(stack.temporal_address)


async def fill(payer: Person, amount: int) -> None:
    """Deposit more than this amount, in parts that nobody reviews."""
    await asyncio.gather(*(payer.deposit(FUNDS) for _ in range(0, amount, FUNDS)))


async def terminate(runbook: Runbook, workflow_id: str) -> None:
    await runbook.run("""temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'""", ID=workflow_id)


async def reset(runbook: Runbook, workflow_id: str, *, exits: int = 0) -> str:
    return await runbook.run(
        """temporal workflow reset     --workflow-id "$ID" --type FirstWorkflowTask --reason 'ticket 4711'""",
        ID=workflow_id,
        exits=exits,
    )


async def details(runbook: Runbook, workflow_id: str) -> str:
    told = await runbook.run(
        "temporal workflow metadata --workflow-id 'transfer/cus_…/rent-november'",
        {"transfer/cus_…/rent-november": workflow_id},
    )
    return " ".join(told.split())


async def say_it(runbook: Runbook, workflow_id: str, words: str) -> None:
    async def output() -> bool:
        return words in await details(runbook, workflow_id)

    await until(output, f"the current details say: {words}")


async def has_status(temporal: Client, workflow_id: str, status: WorkflowExecutionStatus) -> None:
    async def has() -> bool:
        return (await temporal.get_workflow_handle(workflow_id).describe()).status is status

    await until(has, f"{workflow_id} is {status.name}")


async def has_a_step_in_doubt(temporal: Client, workflow_id: str) -> None:
    """Wait until the first task has ended and the step is a pending activity."""

    async def has() -> bool:
        described = await temporal.get_workflow_handle(workflow_id).describe()
        return bool(described.raw_description.pending_activities)

    await until(has, f"{workflow_id} has a pending activity")


async def messages(database_url: str, transfer_id: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM notifications WHERE transfer_id = $1", transfer_id))
    finally:
        await connection.close()


async def test_recovery_abandons_what_lost_its_workflow_before_its_debit(
    stack: Running, runbook: Runbook, recovery: Recovery, payer: Person, payee: Person, log: Path
) -> None:
    async with account_held(stack.database_url, payer.account_id) as hold:
        transfer = await sent(payer, payee, SMALL, "initiated")
        await terminate(runbook, transfer["workflow_id"])
        await hold.is_waited_for_by_nobody()
        done = await recovery.sweep_until_it_finds(transfer["id"])
    assert transfer["id"] in done["abandoned"]
    await reaches(payer, transfer["id"], "failed")
    assert await payer.balance() == FUNDS
    (line,) = (
        each for each in log.read_text().splitlines() if "transfer lost its workflow" in each and transfer["id"] in each
    )
    assert "state=initiated" in line
    assert "1 abandoned, 0 driven on, 0 without an answer" in await details(runbook, done["run"])


async def test_recovery_abandons_what_lost_its_workflow_in_review(
    runbook: Runbook, recovery: Recovery, payer: Person, payee: Person
) -> None:
    await fill(payer, REVIEWED)
    transfer_id = await in_review(payer, payee, REVIEWED)
    await terminate(runbook, (await payer.get(f"/v1/transfers/{transfer_id}")).json()["workflow_id"])
    assert transfer_id in (await recovery.sweep_until_it_finds(transfer_id))["abandoned"]
    await reaches(payer, transfer_id, "failed")
    assert await payer.balance() == 3 * FUNDS


async def test_recovery_drives_on_what_lost_its_workflow_in_transit(
    runbook: Runbook, recovery: Recovery, operator: Person, payer: Person, payee: Person, lost: Lost
) -> None:
    waiting = await operator.get("/v1/admin/transfers", older_than_seconds=0)
    assert lost.id in {transfer["id"] for transfer in waiting.json()["items"]}
    done = await recovery.sweep_until_it_finds(lost.id)
    assert (lost.id in done["driven_on"], done["looked_at"]) == (True, 1)

    async def is_listed() -> bool:
        line = """temporal workflow list --query "WorkflowId STARTS_WITH 'recover/'\""""
        return lost.recovery_id in await runbook.run(line)

    await until(is_listed, "Temporal lists what recovery drives on")
    await lost.hold.release()
    await reaches(payer, lost.id, "completed")
    assert (await payer.balance(), await payee.balance()) == (FUNDS - SMALL, SMALL)


async def test_a_resumed_transfer_is_compensated_if_its_credit_is_refused(
    runbook: Runbook, recovery: Recovery, payer: Person, payee: Person, lost: Lost
) -> None:
    await lost.hold.is_waited_for_by_nobody()
    await lost.hold.release()
    await runbook.run(
        """act accounts/acc_…/freeze   '{"reason": "ticket 4711"}'    # staff""", {"acc_…": payee.account_id}
    )
    assert lost.id in (await recovery.sweep_until_it_finds(lost.id))["driven_on"]
    await reaches(payer, lost.id, "compensated")
    assert (await payer.balance(), await payee.balance()) == (FUNDS, 0)


async def test_the_admin_api_reaches_what_recovery_drives_on(
    runbook: Runbook, recovery: Recovery, payer: Person, payee: Person, lost: Lost
) -> None:
    await recovery.sweep_until_it_finds(lost.id)
    answer = await runbook.run("""act transfers/$TRF/give-back '{"reason": "ticket 4711"}'""", TRF=lost.id)
    assert "unless it has been delivered meanwhile" in answer
    await lost.hold.release()
    await reaches(payer, lost.id, "compensated")
    assert (await payer.balance(), await payee.balance()) == (FUNDS, 0)


async def test_the_command_line_reaches_what_recovery_drives_on_under_the_id_of_recovery(
    temporal: Client, runbook: Runbook, recovery: Recovery, operator: Person, payer: Person, lost: Lost
) -> None:
    await recovery.sweep_until_it_finds(lost.id)
    await has_a_step_in_doubt(temporal, lost.recovery_id)
    retry_now = """temporal workflow update execute --workflow-id "$ID" --name retry_now --input '{"actor": "cus_…", "reason": "ticket 4711"}'"""
    who = {"cus_…": operator.id}
    refused = await runbook.run(retry_now, who, ID=lost.transfer["workflow_id"], exits=1)
    assert "workflow execution already completed" in refused
    assert "The step is tried again." in await runbook.run(retry_now, who, ID=lost.recovery_id)
    await lost.hold.release()
    await reaches(payer, lost.id, "completed")


async def test_a_step_that_runs_when_its_workflow_is_terminated_still_counts(
    stack: Running, temporal: Client, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id) as hold:
        transfer = await sent(payer, payee, SMALL, "debited")
        await hold.is_waited_for_anew()
        await terminate(runbook, transfer["workflow_id"])
        await hold.release()
        await reaches(payer, transfer["id"], "completed")
    await has_status(temporal, transfer["workflow_id"], WorkflowExecutionStatus.TERMINATED)
    assert (await payer.balance(), await payee.balance()) == (FUNDS - SMALL, SMALL)


async def test_a_transfer_that_has_ended_cannot_be_terminated(runbook: Runbook, payer: Person, payee: Person) -> None:
    transfer = await sent(payer, payee, SMALL, "completed")
    line = """temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'"""
    assert "already completed" in await runbook.run(line, ID=transfer["workflow_id"], exits=1)


async def test_a_review_that_is_reset_keeps_its_decisions_and_its_deadline(
    runbook: Runbook, admin: Person, payer: Person, payee: Person
) -> None:
    await fill(payer, BY_TWO)
    transfer_id = await in_review(payer, payee, BY_TWO)
    workflow_id = (await payer.get(f"/v1/transfers/{transfer_id}")).json()["workflow_id"]
    approve = """act transfers/$TRF/decisions '{"ruling": "approve", "reason": "ticket 4711"}'"""
    await runbook.run(approve, TRF=transfer_id)
    await say_it(runbook, workflow_id, "1 more approval or one rejection is needed")
    before = await details(runbook, workflow_id)
    for _ in range(2):
        await reset(runbook, workflow_id)
        await say_it(runbook, workflow_id, "In review until")
        # The rows have the decisions and the deadline. Why the review began, only the lost execution knew.
        assert await details(runbook, workflow_id) == re.sub(r" Asked for by the rule \w+\.", "", before)
    await Runbook({**runbook.environment, "STAFF_TOKEN": admin.token}).run(approve, TRF=transfer_id)
    await reaches(payer, transfer_id, "completed")
    assert await payee.balance() == BY_TWO


async def test_a_transfer_that_is_reset_in_transit_continues_and_its_amount_moves_once(
    stack: Running, temporal: Client, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id) as hold:
        transfer = await sent(payer, payee, SMALL, "debited")
        assert "must be at the boundary" in await reset(runbook, transfer["workflow_id"], exits=1)
        await has_a_step_in_doubt(temporal, transfer["workflow_id"])
        for _ in range(2):
            await reset(runbook, transfer["workflow_id"])
            await say_it(runbook, transfer["workflow_id"], "The amount is in transit")
        await hold.release()
        await reaches(payer, transfer["id"], "completed")
    await say_it(runbook, transfer["workflow_id"], "Completed")
    assert (await payer.balance(), await payee.balance()) == (FUNDS - SMALL, SMALL)
    assert await messages(stack.database_url, transfer["id"]) == 2


async def test_a_final_transfer_that_is_reset_stays_as_it_is_and_notifies_nobody_twice(
    stack: Running, temporal: Client, runbook: Runbook, payer: Person, payee: Person
) -> None:
    transfer = await sent(payer, payee, SMALL, "completed")
    for _ in range(2):
        await reset(runbook, transfer["workflow_id"])
        await say_it(runbook, transfer["workflow_id"], "Completed")
        await has_status(temporal, transfer["workflow_id"], WorkflowExecutionStatus.COMPLETED)
    await reaches(payer, transfer["id"], "completed")
    assert (await payer.balance(), await payee.balance()) == (FUNDS - SMALL, SMALL)
    assert await messages(stack.database_url, transfer["id"]) == 2


async def test_a_pause_stays_until_somebody_ends_it(runbook: Runbook, recovery: Recovery) -> None:
    pause = "temporal schedule toggle   --schedule-id recovery --pause   --reason 'ticket 4711'"
    unpause = "temporal schedule toggle   --schedule-id recovery --unpause --reason 'ticket 4711 is done'"
    await runbook.run(pause)
    await remit(runbook.environment, "migrate")
    paused = await recovery.describe()
    assert (paused["Paused"], paused["Notes"]) == ("true", "ticket 4711")
    await runbook.run(unpause)
    assert (await recovery.describe())["Paused"] == "false"


async def test_a_deleted_schedule_is_created_again_and_runs(
    temporal: Client, runbook: Runbook, recovery: Recovery
) -> None:
    await runbook.run("temporal schedule toggle   --schedule-id recovery --pause   --reason 'ticket 4711'")
    await temporal.get_schedule_handle(RECOVERY_SCHEDULE).delete()
    await remit(runbook.environment, "migrate")
    assert (await recovery.describe())["Paused"] == "false"


@pytest.fixture
async def many(database: Database) -> list[TransferOrder]:
    """More lost rows than one run takes, as after a Temporal that started empty; the newest is in transit."""
    book, customers = Book(database, FINGERPRINTS, record_reversal), Customers(database, encryption=ENCRYPTION)
    ada, ben = await funded(customers, book, SMALL), await holder(customers)
    wanted = [order(ada.id, ada.account_id, ben.account_id, SMALL) for _ in range(AT_MOST + 2)]
    for each in wanted:
        await book.open_transfer(each)
    await book.debit(Step(wanted[-1].transfer_id, 1))
    return wanted


async def test_one_run_takes_500_those_in_transit_first_and_one_without_an_answer_delays_no_other(
    stack: Running, recovery: Recovery, operator: Person, many: list[TransferOrder]
) -> None:
    oldest, newest = many[0].transfer_id, many[-1].transfer_id

    async def old_enough() -> bool:
        waiting = await operator.get("/v1/admin/transfers", older_than_seconds=1, state="debited")
        return newest in {transfer["id"] for transfer in waiting.json()["items"]}

    await until(old_enough, "the newest has not changed for a while")
    async with transfer_held(stack.database_url, oldest):
        first = await recovery.sweep()
    assert (first["looked_at"], first["more"], first["driven_on"]) == (AT_MOST, True, [newest])
    assert "LockNotAvailableError" in first["unanswered"][oldest]
    assert len(first["abandoned"]) == AT_MOST - 2
    second = await recovery.sweep()
    assert (second["looked_at"], second["more"], second["unanswered"]) == (3, False, {})
    assert oldest in second["abandoned"]
