"""Clicks on a transfer whose step has no answer."""

from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from devenv.stack import Running
from tests.api.people import Person, reaches
from tests.runbook.commands import Runbook
from tests.runbook.transfers import in_transit, transfer
from tests.runbook.web_ui import REASON, WebUI, on_page
from tests.waiting import until


async def test_request_cancellation_gives_back_what_is_in_transit(
    ui: WebUI, stack: Running, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        await ui.open(sent["workflow_id"])
        await ui.request_cancellation()
        await reaches(payer, sent["id"], "compensated")
    assert await payer.balance() == 1_980_00
    assert (await transfer(payer, sent["id"]))["failure"]["code"] == "cancelled"


async def test_a_stuck_step_is_found_and_its_amount_given_back(
    ui: WebUI, runbook: Runbook, stack: Running, operator: Person, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        await ui.list_by("NeedsAttention=true AND ExecutionStatus='Running'", finds=sent["workflow_id"])
        await ui.open(sent["workflow_id"])
        await ui.user_metadata("NEEDS ATTENTION. The amount is in transit")
        await ui.picture("needs-attention")
        await ui.tab("Pending Activities", shows="LockNotAvailableError")
        await ui.picture("pending-activities")
        typed = '{"actor": "cus_…", "reason": "ticket 4711"}'
        await ui.send(await ui.update("give_back", on_page(runbook, typed, by=operator.id)))
        await reaches(payer, sent["id"], "compensated")
    assert await payer.balance() == 1_980_00


async def test_a_stuck_step_is_retried_at_once(
    ui: WebUI, runbook: Runbook, stack: Running, operator: Person, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        await ui.list_by("NeedsAttention=true AND ExecutionStatus='Running'", finds=sent["workflow_id"])
        await ui.open(sent["workflow_id"])
        typed = '{"actor": "cus_…", "reason": "ticket 4711"}'
        await ui.send(await ui.update("retry_now", on_page(runbook, typed, by=operator.id)))
    await reaches(payer, sent["id"], "completed")


async def attempts(client: Client, sent: dict[str, Any]) -> int:
    """The state of the pending activity."""
    described = await client.get_workflow_handle(sent["workflow_id"]).describe()
    (pending,) = described.raw_description.pending_activities
    return pending.attempt


async def test_resetting_a_step_restarts_its_attempts_and_not_the_transfer(
    ui: WebUI, stack: Running, client: Client, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        await ui.list_by("NeedsAttention=true AND ExecutionStatus='Running'", finds=sent["workflow_id"])
        began = await client.get_workflow_handle(sent["workflow_id"]).describe()
        await ui.open(sent["workflow_id"])
        await ui.tab("Pending Activities", shows="LockNotAvailableError")
        before = await attempts(client, sent)
        assert before > 1
        await ui.page.get_by_role("button", name="Reset", exact=True).click()
        await ui.page.get_by_role("dialog").get_by_role("button", name="Reset").click()

        async def begins_anew() -> bool:
            return await attempts(client, sent) < before

        await until(begins_anew, "its attempts are counted anew")
    await reaches(payer, sent["id"], "completed")
    assert (await client.get_workflow_handle(sent["workflow_id"]).describe()).run_id == began.run_id


async def is_paused(client: Client, sent: dict[str, Any]) -> bool:
    described = await client.get_workflow_handle(sent["workflow_id"]).describe()
    states = [pending.state for pending in described.raw_description.pending_activities]
    return states == [PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED]


async def test_a_paused_step_runs_on_request_and_continues_after_unpause(
    ui: WebUI, runbook: Runbook, stack: Running, client: Client, operator: Person, payer: Person, payee: Person
) -> None:
    typed = '{"actor": "cus_…", "reason": "ticket 4711"}'
    for by_hand in (True, False):
        async with in_transit(stack, payer, payee) as sent:
            await ui.list_by("NeedsAttention=true AND ExecutionStatus='Running'", finds=sent["workflow_id"])
            await ui.open(sent["workflow_id"])
            await ui.tab("Pending Activities", shows="LockNotAvailableError")
            await ui.pause("Pause", REASON)
            await ui.picture("activity-paused")
            await until(lambda: is_paused(client, sent), "the attempt that ran when it was paused has ended")
        assert (await transfer(payer, sent["id"]))["state"] == "debited"
        if by_hand:
            await ui.open(sent["workflow_id"])
            await ui.send(await ui.update("retry_now", on_page(runbook, typed, by=operator.id)))
        else:
            await ui.pause("Unpause", REASON)
        await reaches(payer, sent["id"], "completed")
