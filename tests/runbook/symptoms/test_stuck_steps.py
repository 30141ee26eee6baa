"""The page on a stuck step, and the record of the people who intervene."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from devenv.stack import Running
from tests.api.people import Person, reaches
from tests.runbook.commands import Runbook
from tests.runbook.row_locks import Held, account_held, table_held
from tests.runbook.transfers import described, details, events, file_of, legs, recorded_actions
from tests.waiting import until

AMOUNT = 7_00
DEPOSITED = 1980_00


@dataclass
class Stuck:
    """A transfer that needs attention, and the lock that delays it."""

    id: str
    workflow_id: str
    held: Held
    runbook: Runbook

    async def described(self) -> str:
        return await described(self.runbook, self.workflow_id)

    async def details(self) -> str:
        return await details(self.runbook, self.workflow_id)

    async def local_attempts(self) -> int:
        return (await events(self.runbook, self.workflow_id)).count("MarkerRecorded")

    async def is_flagged(self) -> bool:
        line = """temporal workflow list --query "NeedsAttention=true AND ExecutionStatus='Running'\""""
        return self.workflow_id in await self.runbook.run(line)


@asynccontextmanager
async def stuck_behind(
    held_account: str, stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> AsyncIterator[Stuck]:
    """Wait until the transfer has `NeedsAttention`."""
    async with account_held(stack.database_url, held_account) as held:
        moving = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        stuck = Stuck(moving["id"], moving["workflow_id"], held, runbook)
        await until(stuck.is_flagged, "the transfer needs attention")
        yield stuck


@pytest.fixture
async def stuck(stack: Running, runbook: Runbook, payer: Person, payee: Person) -> AsyncIterator[Stuck]:
    """A transfer in transit whose destination is locked."""
    async with stuck_behind(payee.account_id, stack, runbook, payer, payee) as stuck:
        yield stuck


async def test_a_stuck_transfer_says_where_the_money_is_and_completes_when_the_cause_is_gone(
    stuck: Stuck, runbook: Runbook, stack: Running, payer: Person, payee: Person
) -> None:
    assert (await stuck.details()).startswith("NEEDS ATTENTION. The amount is in transit")
    described = await stuck.described()
    assert re.search(r"Type +credit_destination\n", described)
    assert int(re.findall(r"Attempt +(\d+)\n", described)[0]) > 1
    assert "LockNotAvailableError" in described

    async def is_named() -> bool:
        printed = await runbook.run(
            """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT pid, usename, application_name, client_addr, now() - xact_start AS since, left(query, 60) AS query
     FROM pg_stat_activity
     WHERE xact_start < now() - interval '5 seconds' AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'accounts'::regclass)\""""
        )
        assert "remit-" not in printed
        return re.findall(r"^ *(\d+) \|", printed, re.MULTILINE) == [str(stuck.held.pid)]

    await until(is_named, "the transaction that is at the accounts for long is named")
    status = await runbook.run("remit status", exits=1, REMIT_STUCK_AFTER_SECONDS="1")
    assert stuck.id in status
    assert f"Session {stuck.held.pid}" in status
    command = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT pg_terminate_backend(4711)\""""
    assert command.replace("4711", str(stuck.held.pid)) in status
    assert re.search(r"^ t$", await runbook.run(command, {"4711": str(stuck.held.pid)}), re.MULTILINE)
    await reaches(payer, stuck.id, "completed")
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED - AMOUNT, AMOUNT)
    assert await stuck.details() == "Completed: the amount is with the destination."
    assert re.search(r'NeedsAttention:[^}]*}(?: metadata:{[^}]*})? data:"false"', await stuck.described())
    assert not await stuck.is_flagged()
    shown = await runbook.run("remit show trf_…", {"trf_…": stuck.id})
    assert re.findall(r"^\S+ +(debit|credit|completed) ", shown, re.MULTILINE) == ["debit", "credit", "completed"]


async def test_a_step_that_waits_in_the_accounts_queue_says_so_with_the_failure_at_its_head(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    busy = f"Steps of this process come again one after the other: {payee.account_id} is busy."
    heard = re.compile(rf"LockNotAvailableError[^\"]* \({busy}\)")
    async with account_held(stack.database_url, payee.account_id) as held:
        answers = [(await payer.pay(payee, AMOUNT, prefer="wait=0")).json() for _ in range(6)]
        transfers = [Stuck(answer["id"], answer["workflow_id"], held, runbook) for answer in answers]

        async def says_so() -> bool:
            return any([heard.search(await transfer.described()) for transfer in transfers])

        await until(says_so, "a step in line says so")
    for transfer in transfers:
        await reaches(payer, transfer.id, "completed")


async def test_the_api_retries_a_stuck_step_at_once_and_then_gives_the_amount_back(
    stuck: Stuck, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    tried = await stuck.local_attempts()
    answer = await runbook.run("""act transfers/$TRF/retry-now '{"reason": "ticket 4711"}'""", TRF=stuck.id)
    assert json.loads(answer)["answer"] == "The step is tried again."

    async def is_tried() -> bool:
        return await stuck.local_attempts() >= tried + 2  # what was asked is written down first

    await until(is_tried, "the step is tried locally")
    answer = await runbook.run("""act transfers/$TRF/give-back '{"reason": "ticket 4711"}'""", TRF=stuck.id)
    assert "unless it has been delivered meanwhile" in json.loads(answer)["answer"]
    await reaches(payer, stuck.id, "compensated")
    assert (await file_of(operator, stuck.id))["failure"]["code"] == "cancelled"
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED, 0)
    assert await recorded_actions(runbook, stuck.id) == [
        [operator.id, "retry_step", "ticket 4711"],
        [operator.id, "give_back", "ticket 4711"],
    ]
    late = await runbook.run("""act transfers/$TRF/give-back '{"reason": "ticket 4711"}'""", TRF=stuck.id)
    assert json.loads(late)["code"] == "too_late"


async def test_the_cli_lets_only_staff_by_id_or_address_retry_a_stuck_step_and_give_back(
    stuck: Stuck, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    tried = await stuck.local_attempts()
    refused = await runbook.run(
        """temporal workflow update execute --workflow-id "$ID" --name retry_now --input '{"actor": "cus_…", "reason": "ticket 4711"}'""",
        {"cus_…": payee.id},
        ID=stuck.workflow_id,
        exits=1,
    )
    assert f"{payee.id} is no operator or admin" in refused
    answer = await runbook.run(
        """temporal workflow update execute --workflow-id "$ID" --name retry_now --input '{"actor": "cus_…", "reason": "ticket 4711"}'""",
        {"cus_…": operator.email},
        ID=stuck.workflow_id,
    )
    assert "The step is tried again." in answer

    async def is_tried() -> bool:
        return await stuck.local_attempts() >= tried + 3  # after what was refused, and what was written down

    await until(is_tried, "the step is tried locally")
    answer = await runbook.run(
        """temporal workflow update execute --workflow-id "$ID" --name give_back --input '{"actor": "cus_…", "reason": "ticket 4711"}'""",
        {"cus_…": operator.id},
        ID=stuck.workflow_id,
    )
    assert "The amount goes back to its source, unless it has been delivered meanwhile." in answer
    await reaches(payer, stuck.id, "compensated")
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED, 0)
    assert await recorded_actions(runbook, stuck.id) == [
        [operator.id, "retry_step", "ticket 4711"],
        [operator.id, "give_back", "ticket 4711"],
    ]


async def test_a_debit_in_doubt_is_answered_before_its_amount_is_given_back(
    stack: Running, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    async with stuck_behind(payer.account_id, stack, runbook, payer, payee) as stuck:
        assert re.search(r"Type +debit_source\n", await stuck.described())
        assert "it is still there, or in transit" in await stuck.details()
        answer = await runbook.run("""act transfers/$TRF/give-back '{"reason": "ticket 4711"}'""", TRF=stuck.id)
        assert "answer" in json.loads(answer)
        assert await legs(operator, stuck.id) == []
    await reaches(payer, stuck.id, "compensated")
    assert await legs(operator, stuck.id) == ["debit", "refund"]
    assert await payer.balance() == DEPOSITED


async def test_freezing_the_destination_sends_back_all_that_is_on_its_way_to_it(
    stack: Running, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    async def is_frozen() -> bool:
        line = """act accounts/acc_…/freeze '{"reason": "ticket 4711"}'"""
        return '"frozen"' in await runbook.run(line, {"acc_…": payee.account_id})

    async with AsyncExitStack() as no_posting:
        async with account_held(stack.database_url, payee.account_id):
            moving = [(await payer.pay(payee, AMOUNT, prefer="wait=0")).json()["id"] for _ in range(3)]
            for transfer_id in moving:
                await reaches(payer, transfer_id, "debited")
            await no_posting.enter_async_context(table_held(stack.database_url, "postings"))
        await until(is_frozen, "the destination is frozen")
    for transfer_id in moving:
        await reaches(payer, transfer_id, "compensated")
        assert (await file_of(operator, transfer_id))["failure"]["code"] == "account_frozen"
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED, 0)
