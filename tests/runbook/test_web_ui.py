"""What the runbook has people do in Temporal's Web UI, done by clicks."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from devenv.stack import Running
from tests.api.people import Person, in_review, reaches
from tests.api.test_disputes import becomes, opens
from tests.runbook.conftest import FOUR_EYES_FROM
from tests.runbook.lines import Runbook
from tests.runbook.locks import held
from tests.runbook.web_ui import WebUI, web_ui
from tests.waiting import until

REVIEWED = 150_00
REASON = "ticket 4711"


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Kept where REMIT_SCREENSHOTS says."""
    folder = Path(os.environ.get("REMIT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
async def ui(stack: Running, screenshots: Path) -> AsyncIterator[WebUI]:
    assert stack.temporal_ui_url is not None
    async with web_ui(stack.temporal_ui_url, screenshots) as ui:
        yield ui


def on_page(runbook: Runbook, data: str, **who: str) -> str:
    """The JSON that the page has people type, with their id in it."""
    assert data in runbook.page
    return data.replace("cus_…", who["by"])


async def transfer(person: Person, transfer_id: str) -> dict[str, Any]:
    return dict((await person.get(f"/v1/transfers/{transfer_id}")).json())


@asynccontextmanager
async def in_transit(stack: Running, payer: Person, payee: Person) -> AsyncIterator[dict[str, Any]]:
    """A transfer whose amount has left the payer and cannot reach the payee while the block lasts."""
    async with held(stack.database_url, "account", payee.account_id):
        before = await payer.balance()
        sent = (await payer.pay(payee, 90_00, prefer="wait=0")).json()

        async def has_left() -> bool:
            return await payer.balance() == before - 90_00

        await until(has_left, "the amount is in transit")
        yield sent


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
    assert await ui.refusal(dialog) == "The customer who asked for the transfer cannot decide about it."
    await ui.picture("decision-refused")
    await ui.open(workflow_id)
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await reaches(payer, transfer_id, "completed")
    decided = await runbook.run(
        """psql "$REMIT_DATABASE_URL" -c "SELECT decider, ruling, reason, decided_at FROM review_decisions WHERE transfer_id = 'trf_…'" \
  -c "SELECT action, actor, reason, state, recorded_at FROM instructions WHERE transfer_id = 'trf_…'\"""",
        {"trf_…": transfer_id},
    )
    assert operator.id in decided


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


async def test_a_stuck_step_is_tried_at_once(
    ui: WebUI, runbook: Runbook, stack: Running, operator: Person, payer: Person, payee: Person
) -> None:
    async with in_transit(stack, payer, payee) as sent:
        await ui.list_by("NeedsAttention=true AND ExecutionStatus='Running'", finds=sent["workflow_id"])
        await ui.open(sent["workflow_id"])
        typed = '{"actor": "cus_…", "reason": "ticket 4711"}'
        await ui.send(await ui.update("retry_now", on_page(runbook, typed, by=operator.id)))
    await reaches(payer, sent["id"], "completed")


async def is_paused(client: Client, sent: dict[str, Any]) -> bool:
    described = await client.get_workflow_handle(sent["workflow_id"]).describe()
    states = [pending.state for pending in described.raw_description.pending_activities]
    return states == [PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED]


async def test_a_step_whose_retries_are_paused_is_still_tried_by_hand_and_goes_on_where_they_are_not(
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
    """**Trigger** until recovery has found it: it leaves alone what changed within the last second."""

    async def is_found() -> bool:
        await ui.trigger()
        return bool((await transfer(person, transfer_id))["state"] == state)

    await ui.schedule()
    await until(is_found, f"recovery makes it {state}")


async def test_what_is_terminated_in_review_is_cancelled_by_recovery(ui: WebUI, payer: Person, payee: Person) -> None:
    transfer_id = await in_review(payer, payee, REVIEWED)
    await ui.open((await transfer(payer, transfer_id))["workflow_id"])
    await ui.terminate(REASON)
    assert (await transfer(payer, transfer_id))["state"] == "in_review"
    await sweep(ui, payer, transfer_id, "cancelled")
    await ui.picture("recovery-schedule")


async def test_what_is_terminated_in_transit_is_driven_on_by_recovery(
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
    """Of a completed transfer of $90."""
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
    await ui.open(f"dispute/{dispute}")
    await ui.user_metadata("Open until ")
    await ui.picture(f"dispute-{state}-{left}-open")
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    told = await becomes(payer, dispute, state)
    assert await payee.balance() == left
    if state == "reversed":
        reversal = (await operator.get(f"/v1/admin/transfers/{told['reversal_transfer_id']}")).json()
        await ui.open(f"dispute/{dispute}")
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
    await ui.open(f"dispute/{dispute}")
    await end(ui)

    async def is_started_again() -> bool:
        await ui.trigger()
        described = await runbook.run(
            "temporal workflow describe --workflow-id 'transfer/cus_…/rent-november'",
            {"transfer/cus_…/rent-november": f"dispute/{dispute}"},
        )
        return f"Dispute {dispute}, started again" in described

    await ui.schedule()
    await until(is_started_again, "recovery has started it again")
    await ui.open(f"dispute/{dispute}")
    typed = '{"decider": "cus_…", "ruling": "reverse", "reason": "no proof"}'
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await becomes(payer, dispute, "reversed")


async def test_a_reset_dispute_reads_its_row_and_goes_on(
    ui: WebUI, runbook: Runbook, dispute: str, operator: Person, payer: Person
) -> None:
    await ui.open(f"dispute/{dispute}")
    await ui.reset(REASON)
    await ui.open(f"dispute/{dispute}")
    typed = '{"decider": "cus_…", "ruling": "reverse", "reason": "no proof"}'
    await ui.send(await ui.update("decide", on_page(runbook, typed, by=operator.id)))
    await becomes(payer, dispute, "reversed")
    await ui.open(f"dispute/{dispute}")
    await ui.reset(REASON)
    await ui.open(f"dispute/{dispute}")
    await ui.user_metadata("$90.00 was brought back to the payer.")
    assert await payer.balance() == 1_980_00


async def test_a_batch_tells_how_far_it_is(ui: WebUI, runbook: Runbook, payer: Person, payee: Person) -> None:
    waiting = [await in_review(payer, payee, REVIEWED) for _ in range(3)]
    started = json.loads(
        await runbook.run(
            """act reviews/decisions '{"ruling": "approve", "reason": "ticket 4711", "currency": "USD", "max_amount": 20000}'"""
        )
    )
    for transfer_id in waiting:
        await reaches(payer, transfer_id, "completed")
    await ui.list_by("WorkflowType='DecisionBatchWorkflow'", finds=started["id"])
    await ui.open(started["id"])
    await ui.user_metadata(f"{started['total']} of {started['total']}")
    await ui.picture("batch")
