"""The runbook's clicks in Temporal's Web UI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from devenv.stack import Running
from ledger.ids import CustomerId, DisputeId, TransferId
from ledger.workflow_ids import dispute_workflow_id, recovery_workflow_id, transfer_workflow_id
from tests.api.disputes.test_disputes import becomes, opens
from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.runbook.conftest import FOUR_EYES_FROM
from tests.runbook.row_locks import account_held
from tests.runbook.transfers import recorded_actions
from tests.runbook.web_ui import WebUI, running_browser, web_ui
from tests.waiting import until

REVIEWED = 150_00
REASON = "ticket 4711"


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with running_browser() as chromium:
        yield chromium


@pytest.fixture
async def ui(chromium: Browser, stack: Running, screenshots: Path) -> AsyncIterator[WebUI]:
    assert stack.temporal_ui_url is not None
    async with web_ui(chromium, stack.temporal_ui_url, screenshots) as ui:
        yield ui


def on_page(runbook: Runbook, data: str, **who: str) -> str:
    """The JSON that the page gives to type, with this person's id."""
    assert data in runbook.page
    return data.replace("cus_…", who["by"])


async def transfer(person: Person, transfer_id: str) -> dict[str, Any]:
    return dict((await person.get(f"/v1/transfers/{transfer_id}")).json())


@asynccontextmanager
async def in_transit(stack: Running, payer: Person, payee: Person) -> AsyncIterator[dict[str, Any]]:
    """A transfer whose amount has left the payer and cannot reach the payee while the block lasts."""
    async with account_held(stack.database_url, payee.account_id):
        before = await payer.balance()
        sent = (await payer.pay(payee, 90_00, prefer="wait=0")).json()

        async def has_left() -> bool:
            return await payer.balance() == before - 90_00

        await until(has_left, "the amount is in transit")
        yield sent


async def test_a_completed_transfer_shows_each_of_its_steps_by_name(ui: WebUI, payer: Person, paid: str) -> None:
    await ui.open((await transfer(payer, paid))["workflow_id"])
    for step in ("open_transfer", "screen_transfer", "debit_source", "credit_destination", "notify_parties"):
        await ui.page.get_by_text(step).first.wait_for()
    await ui.picture("completed")


async def test_a_review_is_found_and_decided(
    ui: WebUI, runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    workflow_id = (await transfer(payer, await in_review(payer, payee, REVIEWED)))["workflow_id"]
    transfer_id = (await payer.get("/v1/transfers", account_id=payer.account_id)).json()["items"][0]["id"]
    await ui.list_by("TransferState='in_review' AND ExecutionStatus='Running'", finds=workflow_id)
    await ui.picture("list-in-review")
    await ui.open(workflow_id)
    await ui.user_metadata("In review until ")
    await ui.picture("review")
    typed = '{"decider": "cus_…", "ruling": "approve", "reason": "ticket 4711"}'
    dialog = await ui.update("decide", on_page(runbook, typed, by=payer.id))
    assert await ui.refusal(dialog) == (
        f"{payer.id} is no operator or admin: give your id (cus_…), or the address you sign in with."
    )
    await ui.picture("decision-refused")
    await ui.open(workflow_id)
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await reaches(payer, transfer_id, "completed")
    assert await recorded_actions(runbook, transfer_id) == [[operator.id, "approve", "ticket 4711"]]


async def test_four_eyes_are_counted_on_the_screen(
    ui: WebUI, runbook: Runbook, admin: Person, operator: Person, payer: Person, payee: Person
) -> None:
    transfer_id = await in_review(payer, payee, FOUR_EYES_FROM * 100)
    await ui.open((await transfer(payer, transfer_id))["workflow_id"])
    await ui.user_metadata("2 approvals or one rejection")
    typed = '{"decider": "cus_…", "ruling": "approve", "reason": "ticket 4711"}'
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await ui.user_metadata(f"Approved by {operator.id}")
    await ui.picture("four-eyes")
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=admin.id)))
    await reaches(payer, transfer_id, "completed")


async def test_request_cancellation_ends_a_review_as_cancelled(ui: WebUI, payer: Person, payee: Person) -> None:
    transfer_id = await in_review(payer, payee, REVIEWED)
    await ui.open((await transfer(payer, transfer_id))["workflow_id"])
    await ui.request_cancellation()
    await reaches(payer, transfer_id, "cancelled")


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


async def sweep(ui: WebUI, person: Person, transfer_id: str, state: str) -> None:
    """Press **Trigger** until recovery has found the transfer: it ignores changes within the last second."""

    async def is_found() -> bool:
        await ui.trigger()
        return bool((await transfer(person, transfer_id))["state"] == state)

    await ui.schedule()
    await until(is_found, f"recovery makes it {state}")


async def test_recovery_fails_a_transfer_that_is_terminated_in_review(ui: WebUI, payer: Person, payee: Person) -> None:
    transfer_id = await in_review(payer, payee, REVIEWED)
    await ui.open((await transfer(payer, transfer_id))["workflow_id"])
    await ui.terminate(REASON)
    assert (await transfer(payer, transfer_id))["state"] == "in_review"
    await sweep(ui, payer, transfer_id, "failed")
    await ui.picture("recovery-schedule")


async def test_recovery_resumes_a_transfer_that_is_terminated_in_transit(
    ui: WebUI, stack: Running, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        await ui.open(sent["workflow_id"])
        await ui.terminate(REASON)
    assert (await transfer(payer, sent["id"]))["state"] in {"debited", "completed"}, "a step that ran may count"
    await sweep(ui, payer, sent["id"], "completed")
    assert await payee.balance() == 90_00


async def test_recovery_is_paused_and_unpaused(ui: WebUI) -> None:
    await ui.schedule()
    await ui.pause("Pause", REASON)
    await ui.page.get_by_text("Paused").first.wait_for()
    await ui.picture("recovery-paused")
    await ui.pause("Unpause", f"{REASON} is done")
    await ui.page.get_by_role("button", name="Pause", exact=True).wait_for()


async def test_a_reset_review_waits_on_and_a_reset_end_moves_nothing(
    ui: WebUI, operator: Person, payer: Person, payee: Person
) -> None:
    waiting = await in_review(payer, payee, REVIEWED)
    await ui.open((await transfer(payer, waiting))["workflow_id"])
    await ui.reset(REASON)
    await ui.open((await transfer(payer, waiting))["workflow_id"])
    await ui.user_metadata("In review until ")
    done = (await payer.pay(payee, 90_00)).json()
    await ui.open(done["workflow_id"])
    await ui.reset(REASON)
    await ui.open(done["workflow_id"])
    await ui.user_metadata("Completed: the amount is with the destination.")
    assert [await payer.balance(), await payee.balance()] == [1_890_00, 90_00]


@pytest.fixture
async def dispute(payer: Person, payee: Person) -> str:
    """A dispute about a completed transfer of $90."""
    paid = (await payer.pay(payee, 90_00)).json()["id"]
    return str((await opens(payer, paid)).json()["id"])


@pytest.mark.parametrize(
    ("typed", "state", "left"),
    [
        ('{"decider": "cus_…", "ruling": "reverse", "reason": "no proof"}', "reversed", 0),
        ('{"decider": "cus_…", "ruling": "reverse", "amount_minor": 2500, "reason": "no proof"}', "reversed", 65_00),
        ('{"decider": "cus_…", "ruling": "reject", "reason": "delivered"}', "rejected", 90_00),
    ],
    ids=["reverse", "a part", "reject"],
)
async def test_a_dispute_is_decided(
    ui: WebUI,
    runbook: Runbook,
    dispute: str,
    operator: Person,
    payer: Person,
    payee: Person,
    typed: str,
    state: str,
    left: int,
) -> None:
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    await ui.user_metadata("Open until ")
    await ui.picture(f"dispute-{state}-{left}-open")
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    told = await becomes(payer, dispute, state)
    assert await payee.balance() == left
    if state == "reversed":
        reversal = (await operator.get(f"/v1/admin/transfers/{told['reversal_transfer_id']}")).json()
        await ui.open(dispute_workflow_id(DisputeId(dispute)))
        await ui.tab("Relationships", shows=reversal["workflow_id"])
        await ui.picture("dispute-relationships")
    await ui.user_metadata(told["outcome"])


async def terminate(ui: WebUI) -> None:
    await ui.terminate(REASON)


async def cancel(ui: WebUI) -> None:
    await ui.request_cancellation()


@pytest.mark.parametrize("end", [terminate, cancel])
async def test_a_dispute_whose_workflow_is_ended_is_started_again_by_recovery(
    ui: WebUI, runbook: Runbook, dispute: str, operator: Person, payer: Person, end: Any
) -> None:
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    await end(ui)

    async def is_started_again() -> bool:
        await ui.trigger()
        described = await runbook.run(
            "temporal workflow describe --workflow-id 'transfer/cus_…/rent-november'",
            {"transfer/cus_…/rent-november": dispute_workflow_id(DisputeId(dispute))},
        )
        return f"Dispute {dispute}, started again" in described

    await ui.schedule()
    await until(is_started_again, "recovery has started it again")
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    typed = '{"decider": "cus_…", "ruling": "reverse", "reason": "no proof"}'
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await becomes(payer, dispute, "reversed")


async def test_a_reset_dispute_reads_its_row_and_continues(
    ui: WebUI, runbook: Runbook, dispute: str, operator: Person, payer: Person
) -> None:
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    await ui.reset(REASON)
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    typed = '{"decider": "cus_…", "ruling": "reverse", "reason": "no proof"}'
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await becomes(payer, dispute, "reversed")
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    await ui.reset(REASON)
    await ui.open(dispute_workflow_id(DisputeId(dispute)))
    await ui.user_metadata("$90.00 was brought back to the payer.")
    assert await payer.balance() == 1_980_00


async def test_a_bookmark_finds_transfers_in_transit(
    ui: WebUI, runbook: Runbook, stack: Running, payer: Person, payee: Person
) -> None:
    bookmark = 'TransferState="debited"'
    assert f"…/workflows?query={quote(bookmark)}" in runbook.page
    async with in_transit(stack, payer, payee) as sent:
        await ui.list_by(bookmark, finds=sent["workflow_id"])


async def test_a_key_with_signs_of_an_address_in_it_leads_to_its_transfer(
    ui: WebUI, payer: Person, payee: Person
) -> None:
    sent = (await payer.pay(payee, 90_00, key="50% of rent/november #1")).json()
    assert sent["workflow_id"] == transfer_workflow_id(CustomerId(payer.id), "50% of rent/november #1")
    await ui.open(sent["workflow_id"])
    await ui.user_metadata("Completed: the amount is with the destination.")


async def test_a_search_attribute_is_a_column_once_it_is_added(ui: WebUI, payer: Person, payee: Person) -> None:
    workflow_id = (await transfer(payer, await in_review(payer, payee, REVIEWED)))["workflow_id"]
    await ui.list_by(f"WorkflowId='{workflow_id}'", finds=workflow_id)
    assert not await ui.page.get_by_role("columnheader", name="TransferState").count()
    await ui.add_column("TransferState")
    await ui.page.get_by_role("cell", name="in_review").wait_for()
    await ui.picture("columns")


async def test_a_reversal_is_found_by_the_payees_account(ui: WebUI, paid: str, payee: Person) -> None:
    reversal = (await payee.post(f"/v1/transfers/{paid}/reversals", {"amount": 40_00})).json()
    await ui.filter_by("SourceAccount", payee.account_id, finds=reversal["workflow_id"])
    await ui.picture("filter-source-account")
    await ui.open(reversal["workflow_id"])
    await ui.user_metadata(f"Reversal of {paid}: $40.00 {payee.account_id} → ")


async def test_no_workflow_is_deleted_here_and_one_that_is_deleted_elsewhere_is_ended_by_recovery(
    ui: WebUI, runbook: Runbook, payer: Person, payee: Person
) -> None:
    done = (await payer.pay(payee, 90_00)).json()
    await ui.open(done["workflow_id"])
    assert "Delete" not in await ui.actions()
    waiting = await in_review(payer, payee, REVIEWED)
    workflow_id = (await transfer(payer, waiting))["workflow_id"]
    await ui.open(workflow_id)
    offered = await ui.actions()
    assert set(offered) >= {"Reset", "Send an Update", "Terminate"}
    assert "Delete" not in offered
    await runbook.run("""temporal workflow delete --workflow-id "$ID\"""", ID=workflow_id)
    await sweep(ui, payer, waiting, "cancelled")


async def test_nothing_is_sent_while_the_dialog_is_open_and_submit_again_sends(
    ui: WebUI, runbook: Runbook, operator: Person, client: Client, payer: Person, payee: Person
) -> None:
    transfer_id = await in_review(payer, payee, REVIEWED)
    workflow_id = (await transfer(payer, transfer_id))["workflow_id"]
    await ui.open(workflow_id)
    typed = '{"decider": "cus_…", "ruling": "approve", "reason": "ticket 4711"}'
    dialog = await ui.update("decide", on_page(runbook, typed, by=operator.id))
    await dialog.get_by_role("button", name="Submit").click()
    await dialog.get_by_text('"ruling": "approve",', exact=True).wait_for()
    await ui.picture("laid-out-anew")
    assert await dialog.is_visible()
    assert (await transfer(payer, transfer_id))["state"] == "in_review"
    await dialog.get_by_role("button", name="Submit").click()
    await reaches(payer, transfer_id, "completed")


@pytest.fixture
async def half_approved(ui: WebUI, runbook: Runbook, operator: Person, payer: Person, payee: Person) -> dict[str, Any]:
    """A review on the screen, with one of its two approvals sent from the Web UI."""
    sent = await transfer(payer, await in_review(payer, payee, FOUR_EYES_FROM * 100))
    await ui.open(sent["workflow_id"])
    await approve(ui, runbook, operator)
    return sent


async def approve(ui: WebUI, runbook: Runbook, by: Person) -> None:
    typed = '{"decider": "cus_…", "ruling": "approve", "reason": "ticket 4711"}'
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=by.id)))


async def test_a_reset_review_keeps_its_decisions_whatever_it_is_reset_to(
    ui: WebUI, runbook: Runbook, half_approved: dict[str, Any], admin: Person, operator: Person, payer: Person
) -> None:
    await ui.reset(REASON, to_the_last=True)
    await ui.open(half_approved["workflow_id"])
    await ui.user_metadata(f"Approved by {operator.id}")
    await ui.reset(REASON, excluding=["Signals", "Updates"])
    await ui.open(half_approved["workflow_id"])
    await ui.user_metadata(f"Approved by {operator.id}")
    await approve(ui, runbook, admin)
    await reaches(payer, half_approved["id"], "completed")


async def test_a_decision_that_a_reset_to_a_later_event_excludes_is_known_again_after_one_to_the_first(
    ui: WebUI, runbook: Runbook, half_approved: dict[str, Any], admin: Person, operator: Person, payer: Person
) -> None:
    await ui.reset(REASON, to_the_last=True, excluding=["Updates"])
    await ui.open(half_approved["workflow_id"])
    await ui.user_metadata("2 approvals or one rejection")
    await ui.reset(REASON)
    await ui.open(half_approved["workflow_id"])
    await ui.user_metadata(f"Approved by {operator.id}")
    await approve(ui, runbook, admin)
    await reaches(payer, half_approved["id"], "completed")


async def test_a_resumed_transfer_names_the_run_of_recovery_and_what_it_found(
    ui: WebUI, stack: Running, client: Client, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        driven_on = recovery_workflow_id(TransferId(sent["id"]), 1)
        await ui.list_by("NeedsAttention=true AND ExecutionStatus='Running'", finds=sent["workflow_id"])
        await ui.open(sent["workflow_id"])
        await ui.terminate(REASON)

        async def is_driven_on() -> bool:
            await ui.trigger()
            return (await client.count_workflows(f"WorkflowId='{driven_on}'")).count == 1

        await ui.schedule()
        await until(is_driven_on, "recovery has started what drives it on")
        await ui.list_by("WorkflowId STARTS_WITH 'recover/'", finds=driven_on)
        await ui.open(driven_on)
        await ui.tab("Relationships", shows="RecoveryWorkflow")
        await ui.picture("driven-on")
        await ui.page.get_by_role("link", name="recovery-").first.click()
        await ui.page.get_by_text("driven_on").first.wait_for()
        await ui.page.get_by_text(sent["id"]).first.wait_for()
        await ui.user_metadata("1 driven on, ")
        await ui.picture("recovery-run")
    await reaches(payer, sent["id"], "completed")
    assert [await payer.balance(), await payee.balance()] == [1_890_00, 90_00]
