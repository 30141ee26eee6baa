"""The page on cancelling a transfer and on retrying a failed one."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devenv.stack import Running
from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.runbook.processes import ExtraProcesses
from tests.runbook.row_locks import account_held, table_held
from tests.runbook.transfers import described, details, ends_as, file_of, is_pending, legs

AMOUNT = 7_00
REVIEWED = 150_00
DEPOSITED = 1980_00


@pytest.fixture
def extra_processes(environment: Mapping[str, str], home: Path) -> ExtraProcesses:
    return ExtraProcesses(environment, home)


async def cancel(runbook: Runbook, transfer_id: str) -> dict[str, Any]:
    """By the API."""
    return dict(
        json.loads(await runbook.run("""act transfers/$TRF/cancel '{"reason": "ticket 4711"}'""", TRF=transfer_id))
    )


async def cancel_in_temporal(runbook: Runbook, transfer: dict[str, Any]) -> None:
    await runbook.run("""temporal workflow cancel --workflow-id "$ID\"""", ID=transfer["workflow_id"])


async def retry(runbook: Runbook, transfer_id: str) -> dict[str, Any]:
    answer = await runbook.run("""act "transfers/$TRF/retry" '{"reason": "ticket 4711: unfrozen"}'""", TRF=transfer_id)
    return dict(json.loads(answer))


async def test_a_customer_cancels_a_transfer_until_the_debit(stack: Running, payer: Person, payee: Person) -> None:
    waiting = await in_review(payer, payee, REVIEWED)
    answer = await payer.post(f"/v1/transfers/{waiting}/cancel", None)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    async with account_held(stack.database_url, payee.account_id):
        moving = str((await payer.pay(payee, AMOUNT, prefer="wait=0")).json()["id"])
        await reaches(payer, moving, "debited")
        late = await payer.post(f"/v1/transfers/{moving}/cancel", None)
        assert (late.status_code, late.json()["code"]) == (409, "too_late_to_cancel")
    await reaches(payer, moving, "completed")


async def test_the_api_cancels_a_transfer_before_its_debit_and_leaves_a_cancelled_one_unchanged(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    waiting = await in_review(payer, payee, REVIEWED)
    async with account_held(stack.database_url, payer.account_id):
        begun = str((await payer.pay(payee, AMOUNT, prefer="wait=0")).json()["id"])
        await reaches(payer, begun, "initiated")
        assert (await cancel(runbook, begun))["state"] == "cancelled"
    first = await cancel(runbook, waiting)
    assert first["state"] == "cancelled"
    assert await cancel(runbook, waiting) == first
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED, 0)


async def test_the_cli_cancels_a_transfer_in_review_without_a_reason_and_its_workflow_completes(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    by_cli, by_api = [await in_review(payer, payee, REVIEWED) for _ in range(2)]
    transfer = await file_of(operator, by_cli)
    await cancel_in_temporal(runbook, transfer)
    await reaches(payer, by_cli, "cancelled")
    await ends_as(runbook, transfer["workflow_id"], "COMPLETED")
    assert await details(runbook, transfer["workflow_id"]) == "Cancelled: the amount never left the source."
    await cancel(runbook, by_api)
    assert (await file_of(operator, by_cli))["actions"] == []
    (kept,) = (await file_of(operator, by_api))["actions"]
    assert (kept["actor_id"], kept["reason"]) == (operator.id, "ticket 4711")
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED, 0)


async def test_the_cli_cancels_a_transfer_before_its_first_step_when_a_worker_starts(
    extra_processes: ExtraProcesses, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with extra_processes.running("api") as api:
        async with api.at_its_api(payer) as there:
            transfer = (await there.pay(payee, AMOUNT, prefer="wait=0")).json()
        assert transfer["state"] == "initiated"
        await cancel_in_temporal(runbook, transfer)
    async with extra_processes.running("worker"):
        await reaches(payer, transfer["id"], "cancelled")
        await ends_as(runbook, transfer["workflow_id"], "COMPLETED")
    assert await payer.balance() == DEPOSITED


async def test_a_debit_that_is_being_asked_is_answered_first_and_then_given_back(
    stack: Running, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payer.account_id):
        transfer = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await is_pending(runbook, transfer["workflow_id"], "debit_source")
        await cancel_in_temporal(runbook, transfer)
        assert (await file_of(operator, transfer["id"]))["state"] == "initiated"
    await reaches(payer, transfer["id"], "compensated")
    assert await legs(operator, transfer["id"]) == ["debit", "refund"]
    assert (await file_of(operator, transfer["id"]))["failure"]["code"] == "cancelled"
    assert await payer.balance() == DEPOSITED


@pytest.mark.parametrize("by", ["api", "cli"])
async def test_while_the_credit_is_pending_the_amount_goes_back(
    by: str, stack: Running, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id):
        transfer = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await reaches(payer, transfer["id"], "debited")
        if by == "api":
            assert (await cancel(runbook, transfer["id"]))["state"] in {"debited", "compensated"}
        else:
            await cancel_in_temporal(runbook, transfer)
        await reaches(payer, transfer["id"], "compensated")
    assert (await file_of(operator, transfer["id"]))["failure"]["code"] == "cancelled"
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED, 0)
    await is_not_changed(runbook, operator, transfer, "compensated")


async def test_a_credit_that_is_faster_than_the_cancellation_completes_it(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id) as held:
        transfer = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await reaches(payer, transfer["id"], "debited")
        credit = await held.is_waited_for(for_less_than=0.3)
        cancelling = asyncio.create_task(cancel(runbook, transfer["id"]))
        await held.is_waited_for(behind=credit)
    refused = await cancelling
    assert (refused["status"], refused["code"]) == (409, "too_late_to_cancel")
    await reaches(payer, transfer["id"], "completed")
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED - AMOUNT, AMOUNT)


async def is_not_changed(runbook: Runbook, operator: Person, transfer: dict[str, Any], state: str) -> None:
    """Check that a cancellation after the end changes nothing."""
    await ends_as(runbook, transfer["workflow_id"], "COMPLETED")
    refused = await cancel(runbook, transfer["id"])
    assert (refused["status"], refused["code"]) == (409, "too_late_to_cancel")
    await cancel_in_temporal(runbook, transfer)
    assert (await file_of(operator, transfer["id"]))["state"] == state


async def test_a_cancellation_does_not_change_a_transfer_that_has_ended(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    await is_not_changed(runbook, operator, (await payer.pay(payee, AMOUNT)).json(), "completed")
    await is_not_changed(runbook, operator, (await payee.pay(payer, AMOUNT + 1)).json(), "failed")


async def test_a_cancellation_in_temporal_ends_the_wait_for_a_notification(
    stack: Running, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    async with table_held(stack.database_url, "notifications"):
        transfer = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await reaches(payer, transfer["id"], "completed")
        await is_pending(runbook, transfer["workflow_id"], "notify_parties")
        assert (await cancel(runbook, transfer["id"]))["code"] == "too_late_to_cancel"
        await cancel_in_temporal(runbook, transfer)
        await ends_as(runbook, transfer["workflow_id"], "COMPLETED")
    ending = "Completed: the amount is with the destination. The parties were not notified."
    assert await details(runbook, transfer["workflow_id"]) == ending
    assert (await file_of(operator, transfer["id"]))["state"] == "completed"


async def freeze(runbook: Runbook, person: Person) -> None:
    line = """act accounts/acc_…/freeze '{"reason": "ticket 4711"}'"""
    assert '"frozen"' in await runbook.run(line, {"acc_…": person.account_id})


async def unfreeze(runbook: Runbook, person: Person) -> None:
    line = """act accounts/acc_…/unfreeze '{"reason": "ticket 4711"}'"""
    assert '"active"' in await runbook.run(line, {"acc_…": person.account_id})


async def attempts(owner: Person, transfer_id: str) -> list[tuple[int, str]]:
    items = (await owner.get(f"/v1/transfers/{transfer_id}/attempts")).json()["items"]
    return [(attempt["attempt"], attempt["state"]) for attempt in items]


async def test_a_failed_transfer_is_retried_under_its_id_in_a_second_workflow(
    runbook: Runbook, payer: Person, payee: Person
) -> None:
    await freeze(runbook, payee)
    failed = (await payer.pay(payee, AMOUNT, "rent-november")).json()
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "account_frozen")
    await unfreeze(runbook, payee)
    again = await retry(runbook, failed["id"])
    assert (again["id"], again["attempt"], again["state"]) == (failed["id"], 2, "completed")
    assert again["workflow_id"] == f"{failed['workflow_id']} #2"
    assert re.search(r"Status +COMPLETED\n", await described(runbook, again["workflow_id"]))
    assert (await payer.pay(payee, AMOUNT, "rent-november")).json()["id"] == failed["id"]
    assert await attempts(payer, failed["id"]) == [(1, "failed"), (2, "completed")]
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED - AMOUNT, AMOUNT)


async def test_a_compensated_transfer_is_retried(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id):
        transfer = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        await reaches(payer, transfer["id"], "debited")
        await cancel_in_temporal(runbook, transfer)
        await reaches(payer, transfer["id"], "compensated")
    assert (await retry(runbook, transfer["id"]))["state"] == "completed"
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED - AMOUNT, AMOUNT)


async def test_a_customer_retries_too_and_a_transfer_has_three_attempts(
    runbook: Runbook, payer: Person, payee: Person
) -> None:
    failed = str((await payee.pay(payer, AMOUNT)).json()["id"])
    again = await payee.post(f"/v1/transfers/{failed}/retry", None)
    assert (again.status_code, again.json()["attempt"]) == (201, 2)
    assert (await retry(runbook, failed))["attempt"] == 3
    refused = await retry(runbook, failed)
    assert (refused["status"], refused["code"]) == (409, "attempts_used_up")
    assert await attempts(payee, failed) == [(1, "failed"), (2, "failed"), (3, "failed")]


async def test_an_attempt_is_reviewed_again(runbook: Runbook, payer: Person, payee: Person) -> None:
    transfer_id = await in_review(payer, payee, REVIEWED)
    approve = """act transfers/$TRF/decisions '{"ruling": "approve", "reason": "ticket 4711"}'"""
    await payer.post(f"/v1/transfers/{transfer_id}/cancel", None)
    refused = await retry(runbook, transfer_id)
    assert (refused["status"], refused["code"]) == (409, "not_retryable")
    rejected = await in_review(payer, payee, REVIEWED)
    await runbook.run(approve, {"approve": "reject"}, TRF=rejected)
    await reaches(payer, rejected, "failed")
    retrying = asyncio.create_task(retry(runbook, rejected))
    await reaches(payer, rejected, "in_review")
    await runbook.run(approve, TRF=rejected)
    await reaches(payer, rejected, "completed")
    assert (await retrying)["attempt"] == 2


async def test_resetting_the_old_workflow_begins_no_attempt(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    failed = (await payee.pay(payer, AMOUNT)).json()
    await payer.pay(payee, AMOUNT)
    await runbook.run(
        """temporal workflow reset --workflow-id "$ID" --type FirstWorkflowTask --reason 'ticket 4711'""",
        ID=failed["workflow_id"],
    )
    await ends_as(runbook, failed["workflow_id"], "COMPLETED")
    assert '"state":"failed"' in await described(runbook, failed["workflow_id"])
    file = await file_of(operator, failed["id"])
    assert (file["state"], file["attempt"]) == ("failed", 1)
