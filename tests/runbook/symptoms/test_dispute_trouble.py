"""The page on disputes: a decided reversal that is not done, and a dispute whose workflow is lost or reset."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from devenv.stack import Running
from ledger.ids import CustomerId
from ledger.workflow_ids import transfer_workflow_id
from tests.api.people import Person, register
from tests.runbook.commands import Runbook
from tests.runbook.conftest import RECOVERY_GRACE_SECONDS
from tests.runbook.disputes import Case, opened, opens
from tests.runbook.row_locks import account_held
from tests.waiting import until

REVERSE = """act disputes/$DSP/decisions '{"ruling": "reverse", "reason": "no proof"}'"""
TRIGGER = "temporal schedule trigger --schedule-id recovery"
TERMINATE = """temporal workflow terminate --workflow-id "dispute/$DSP" --reason 'ticket 4711'"""
DELETE = """temporal workflow delete --workflow-id "dispute/$DSP\""""
CANCEL = """temporal workflow cancel --workflow-id "dispute/$DSP\""""
RESET = """temporal workflow reset --workflow-id "dispute/$DSP" --type FirstWorkflowTask --reason 'ticket 4711'"""

CANCEL_IN_TEMPORAL = """temporal workflow cancel --workflow-id "$ID\""""
CANCEL_BY_API = """act transfers/$TRF/cancel '{"reason": "ticket 4711"}'"""
RETRY_NOW_IN_TEMPORAL = """temporal workflow update execute --workflow-id "$ID" --name retry_now --input '{"actor": "cus_…", "reason": "ticket 4711"}'"""
RETRY_NOW_BY_API = """act transfers/$TRF/retry-now '{"reason": "ticket 4711"}'"""
GIVE_BACK_BY_API = """act transfers/$TRF/give-back '{"reason": "ticket 4711"}'"""


@pytest.fixture
async def case(runbook: Runbook, operator: Person, http: httpx.AsyncClient) -> Case:
    return await another_case(runbook, operator, http)


async def another_case(runbook: Runbook, operator: Person, http: httpx.AsyncClient) -> Case:
    """A dispute between two new customers. The payer has $19.00 left."""
    payer, payee = await register(http, full_name="Ada Obi"), await register(http, full_name="Ben Ola")
    await payer.deposit(99_00)
    paid = (await payer.pay(payee, 80_00)).json()
    assert paid["state"] == "completed", paid
    return await opened(runbook, operator, payer, payee, str(paid["id"]))


def reversal_workflow_of(case: Case) -> str:
    return transfer_workflow_id(CustomerId(case.operator.id), case.workflow_id)


async def reversals_of(case: Case) -> list[dict[str, Any]]:
    line = (
        """curl -s "$API/v1/transfers/$TRF/reversals" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
    )
    return list(json.loads(await case.runbook.run(line, TRF=case.paid))["items"])


async def retried(case: Case, reversal_id: str) -> dict[str, Any]:
    line = """act transfers/trf_…/retry '{"reason": "ticket 4711"}'"""
    return dict(json.loads(await case.runbook.run(line, {"trf_…": reversal_id})))


@asynccontextmanager
async def stuck(case: Case, stack: Running, account_id: str) -> AsyncIterator[str]:
    """Decide the reversal while this account is locked, and return its id. Its step has no answer until the block ends."""
    async with account_held(stack.database_url, account_id):
        assert json.loads(await case.runbook.run(REVERSE, DSP=case.id))["state"] == "reversing"
        await needs_attention(case)
        (reversal,) = await reversals_of(case)
        yield str(reversal["id"])


async def needs_attention(case: Case) -> None:
    async def flagged() -> bool:
        line = """temporal workflow list --query "NeedsAttention=true AND ExecutionStatus='Running'\""""
        return reversal_workflow_of(case) in (await case.runbook.run(line)).split()

    await until(flagged, "the reversal needs attention")


async def lists_the_reversal(case: Case) -> None:
    async def listed() -> bool:
        line = """temporal workflow list --query "ParentWorkflowId='dispute/$DSP'\""""
        return reversal_workflow_of(case) in await case.runbook.run(line, DSP=case.id)

    await until(listed, "Temporal lists the reversal under its dispute")


async def test_a_stuck_reversal_is_found_from_its_dispute_and_completes_when_the_cause_is_gone(
    case: Case, stack: Running
) -> None:
    async with stuck(case, stack, case.payer.account_id) as reversal_id:
        waiting = (await case.operator.get("/v1/admin/disputes", state="reversing")).json()["items"]
        assert case.id in [each["id"] for each in waiting]
        assert f"See {reversal_workflow_of(case)}." in await case.details()
        await lists_the_reversal(case)
        assert [(each["id"], each["state"]) for each in await reversals_of(case)] == [(reversal_id, "debited")]
    assert (await case.becomes("reversed"))["reversal_transfer_id"] == reversal_id


async def test_the_commands_for_a_stuck_step_retry_a_stuck_reversal_at_once(
    runbook: Runbook, operator: Person, http: httpx.AsyncClient, stack: Running
) -> None:
    async with asyncio.TaskGroup() as cases:
        for line, fill in ((RETRY_NOW_BY_API, {}), (RETRY_NOW_IN_TEMPORAL, {"cus_…": operator.id})):
            case = await another_case(runbook, operator, http)
            cases.create_task(is_tried_by(line, fill, case, stack))


async def is_tried_by(line: str, fill: dict[str, str], case: Case, stack: Running) -> None:
    """Run this command while the step is stuck, and check that the dispute ends after the lock."""
    async with stuck(case, stack, case.payer.account_id) as reversal_id:
        answer = await case.runbook.run(line, fill, TRF=reversal_id, ID=reversal_workflow_of(case))
        assert "The step is tried again." in answer
    await case.becomes("reversed")
    assert [await case.payer.balance(), await case.payee.balance()] == [99_00, 0]


async def test_stuck_reversals_that_are_given_back_or_cancelled_end_their_disputes_and_are_retried_later(
    runbook: Runbook, operator: Person, http: httpx.AsyncClient, stack: Running
) -> None:
    actor = {"cus_…": operator.id}
    ways: list[tuple[str, dict[str, str]]] = [
        (GIVE_BACK_BY_API, {}),
        (RETRY_NOW_IN_TEMPORAL, actor | {"retry_now": "give_back"}),
        (CANCEL_BY_API, {}),
        (CANCEL_IN_TEMPORAL, {}),
    ]
    async with asyncio.TaskGroup() as cases:
        for line, fill in ways:
            case = await another_case(runbook, operator, http)
            cases.create_task(ends_by(line, fill, case, stack))


async def ends_by(line: str, fill: dict[str, str], case: Case, stack: Running) -> None:
    """Check that this command returns the amount to the payee, and that a later retry reverses it."""
    async with stuck(case, stack, case.payer.account_id) as reversal_id:
        await case.runbook.run(line, fill, TRF=reversal_id, ID=reversal_workflow_of(case))
        ended = await case.becomes("reversal_failed")
    assert ended["reversal_transfer_id"] == reversal_id
    assert ended["outcome"] == "Reversing $80.00 was decided, and could not be done."
    assert [await case.payer.balance(), await case.payee.balance()] == [19_00, 80_00]
    assert (await retried(case, reversal_id))["state"] == "completed"
    assert [await case.payer.balance(), await case.payee.balance()] == [99_00, 0]
    assert (await case.read())["state"] == "reversed"


async def test_a_reversal_that_was_cancelled_before_its_debit_is_not_retried_but_replaced(
    case: Case, stack: Running, admins_runbook: Runbook
) -> None:
    async def has_begun() -> bool:
        return [each["state"] for each in await reversals_of(case)] == ["initiated"]

    async with account_held(stack.database_url, case.payee.account_id):
        await case.runbook.run(REVERSE, DSP=case.id)
        await until(has_begun, "the reversal waits for its debit")
        (reversal,) = await reversals_of(case)
        assert json.loads(await case.runbook.run(CANCEL_BY_API, TRF=reversal["id"]))["state"] == "cancelled"
    assert (await case.becomes("reversal_failed"))["reversal_transfer_id"] == reversal["id"]
    refused = await retried(case, reversal["id"])
    assert (refused["status"], refused["code"]) == (409, "not_retryable")
    answer = await admins_runbook.run("""reverse "$STAFF_TOKEN" '{"reason": "ticket 4711"}'""", TRF=case.paid)
    assert json.loads(answer)["state"] == "completed"


async def test_a_refused_reversal_is_retried_when_its_cause_is_gone_and_the_payer_never_reads_the_cause(
    case: Case,
) -> None:
    await case.payee.pay(case.payer, 30_00)
    await case.runbook.run(REVERSE, DSP=case.id)
    ended = await case.becomes("reversal_failed")
    assert ended["outcome"] == "Reversing $80.00 was decided, and could not be done."
    assert (await reversals_of(case))[0]["failure"]["code"] == "insufficient_funds"
    await case.details_say("Decided, but not reversed. Reversing $80.00 was decided, and could not be done.")
    await lists_the_reversal(case)
    unseen = await case.payer.get(f"/v1/transfers/{ended['reversal_transfer_id']}")
    assert "insufficient_funds" not in unseen.text
    await case.payee.deposit(30_00)
    assert (await retried(case, ended["reversal_transfer_id"]))["state"] == "completed"
    assert (await case.read())["state"] == "reversed"


async def test_after_a_reversal_that_did_not_start_an_admin_reverses_or_the_payer_disputes_again(
    case: Case, admins_runbook: Runbook
) -> None:
    await case.operator.deposit(1_00)
    taken = await case.operator.pay(case.payee, 1_00, key=case.workflow_id)
    assert taken.json()["state"] == "completed"
    await case.runbook.run(REVERSE, DSP=case.id)
    assert (await case.becomes("reversal_failed"))["reversal_transfer_id"] is None
    assert (await opens(case.payer, case.paid)).status_code == httpx.codes.CREATED
    answer = await admins_runbook.run("""reverse "$STAFF_TOKEN" '{"reason": "ticket 4711"}'""", TRF=case.paid)
    assert json.loads(answer)["state"] == "completed"


async def status_of(case: Case, client: Client) -> WorkflowExecutionStatus | None:
    """The status of the dispute's newest run, or None if Temporal knows none."""
    try:
        return (await client.get_workflow_handle(case.workflow_id).describe()).status
    except RPCError:
        return None


async def is_out(case: Case, client: Client) -> None:
    """Wait until no workflow runs for the dispute and the grace time has passed."""

    async def ended() -> bool:
        return await status_of(case, client) is not WorkflowExecutionStatus.RUNNING

    async def unchanged_for_long_enough() -> bool:
        changed = datetime.fromisoformat((await case.read())["updated_at"])
        return datetime.now(UTC) - changed > timedelta(seconds=RECOVERY_GRACE_SECONDS)

    await until(ended, "the dispute's workflow has ended")
    await until(unchanged_for_long_enough, "recovery takes the dispute for lost")


async def is_started_again(case: Case, client: Client) -> None:
    async def runs() -> bool:
        return await status_of(case, client) is WorkflowExecutionStatus.RUNNING

    await case.runbook.run(TRIGGER)
    await until(runs, "recovery has started the dispute again")
    found = await client.get_workflow_handle(case.workflow_id).describe()
    assert await found.static_summary() == f"Dispute {case.id}, started again"


async def reverses_once_and_notifies_once(case: Case) -> None:
    """Decide the dispute, whatever happened to its workflow."""
    await case.runbook.run(REVERSE, DSP=case.id)
    await case.becomes("reversed")
    await was_reversed_and_notified_once(case)


async def was_reversed_and_notified_once(case: Case) -> None:
    assert [await case.payer.balance(), await case.payee.balance()] == [99_00, 0]
    assert len(await reversals_of(case)) == 1
    assert sorted(await case.messages()) == sorted(
        [
            (case.payee.account_id, f"{case.id}/opened"),
            (case.payer.account_id, f"{case.id}/ended"),
            (case.payee.account_id, f"{case.id}/ended"),
        ]
    )


@pytest.mark.parametrize("line", [TERMINATE, DELETE, CANCEL], ids=["terminated", "deleted", "cancelled"])
async def test_a_dispute_without_its_workflow_is_started_again_by_recovery_with_its_deadline(
    case: Case, client: Client, line: str
) -> None:
    deadline = (await case.read())["deadline"]
    await case.details_say("Open until")
    await case.runbook.run(line, DSP=case.id)
    await is_out(case, client)
    assert (await case.read())["state"] == "open"
    await is_started_again(case, client)
    shown = datetime.fromisoformat(deadline).strftime("%Y-%m-%d %H:%M")
    await case.details_say(f"Open until {shown} UTC")
    await reverses_once_and_notifies_once(case)


async def test_a_decision_by_the_api_starts_what_drives_a_dispute_that_lost_it(case: Case, client: Client) -> None:
    await case.runbook.run(TERMINATE, DSP=case.id)
    await is_out(case, client)
    await reverses_once_and_notifies_once(case)


async def test_parties_go_on_by_the_api_where_a_dispute_lost_its_workflow(case: Case, client: Client) -> None:
    await case.runbook.run(TERMINATE, DSP=case.id)
    await is_out(case, client)
    output = await case.payee.post(f"/v1/disputes/{case.id}/statements", {"text": "They were sent on Monday"})
    assert output.status_code == httpx.codes.CREATED
    await case.details_say("Statements so far: 1")


async def test_decided_reversals_go_on_while_their_disputes_have_no_workflow(
    runbook: Runbook, operator: Person, http: httpx.AsyncClient, client: Client, stack: Running
) -> None:
    async with asyncio.TaskGroup() as cases:
        for line in (TERMINATE, CANCEL):
            case = await another_case(runbook, operator, http)
            cases.create_task(goes_on_after(line, case, client, stack))


async def goes_on_after(line: str, case: Case, client: Client, stack: Running) -> None:
    """Check that the reversal completes without the dispute's workflow, and that recovery then closes the dispute."""

    async def arrived() -> bool:
        return await case.payer.balance() == 99_00

    async with account_held(stack.database_url, case.payer.account_id):
        await case.runbook.run(REVERSE, DSP=case.id)
        await case.details_say(f"See {reversal_workflow_of(case)}.")
        await until(lambda: is_known(client, reversal_workflow_of(case)), "the reversal has begun")
        await case.runbook.run(line, DSP=case.id)
        await is_out(case, client)
    await until(arrived, "the reversal has gone on")
    assert (await case.read())["state"] == "reversing"
    await case.runbook.run(TRIGGER)
    await case.becomes("reversed")
    await was_reversed_and_notified_once(case)


async def is_known(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError:
        return False
    return True


async def test_a_dispute_that_is_reset_any_number_of_times_keeps_its_deadline_and_is_reversed_once(
    case: Case, client: Client
) -> None:
    deadline = (await case.read())["deadline"]
    await case.details_say("Open until")
    for kind in ("FirstWorkflowTask", "LastWorkflowTask", "FirstWorkflowTask"):
        await case.runbook.run(RESET, {"FirstWorkflowTask": kind}, DSP=case.id)
        await case.details_say("Open until")
    assert (await case.read())["deadline"] == deadline
    await reverses_once_and_notifies_once(case)
    for kind in ("FirstWorkflowTask", "LastWorkflowTask"):
        await case.runbook.run(RESET, {"FirstWorkflowTask": kind}, DSP=case.id)
        await until(lambda: has_completed(case, client), "the dispute has run to its end again")
        await was_reversed_and_notified_once(case)


async def has_completed(case: Case, client: Client) -> bool:
    return await status_of(case, client) is WorkflowExecutionStatus.COMPLETED


async def test_a_dispute_that_is_reset_while_its_reversal_is_under_way_reverses_once(
    case: Case, client: Client, stack: Running
) -> None:
    async with account_held(stack.database_url, case.payer.account_id):
        await case.runbook.run(REVERSE, DSP=case.id)
        await until(lambda: is_known(client, reversal_workflow_of(case)), "the reversal has begun")
        await case.runbook.run(RESET, DSP=case.id)
    await case.becomes("reversed")
    await was_reversed_and_notified_once(case)
