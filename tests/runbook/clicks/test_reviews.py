"""Clicks on a transfer in review."""

from typing import Any

import pytest
from temporalio.client import Client

from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.runbook.conftest import FOUR_EYES_FROM
from tests.runbook.transfers import REVIEWED, recorded_actions, transfer
from tests.runbook.web_ui import REASON, WebUI, on_page

# Who asks for reviews of large amounts, as `screening.rules` calls it.
RULE = "amount_review"


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
    # Word for word: the Web UI renders Markdown, and must not take the signs of an id for it.
    await ui.user_metadata(
        f"REFUSED the last decide (not_staff): {payer.id} is no operator or admin: give your id (cus_…)"
    )
    await ui.picture("refusal-in-the-details")
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


async def test_a_reset_review_forgets_its_rule_alone_and_a_reset_end_moves_nothing(
    ui: WebUI, client: Client, payer: Person, payee: Person
) -> None:
    workflow_id = (await transfer(payer, await in_review(payer, payee, REVIEWED)))["workflow_id"]
    await ui.open(workflow_id)
    await ui.user_metadata(f"Asked for by the rule {RULE}. Parties: {payer.id}, {payee.id}.")
    first_run = client.get_workflow_handle(
        workflow_id, run_id=(await client.get_workflow_handle(workflow_id).describe()).run_id
    )
    await ui.reset(REASON)
    await ui.open(workflow_id)
    await ui.user_metadata(f"or the admin API. Parties: {payer.id}, {payee.id}.")
    markers = [event.marker_recorded_event_attributes.details for event in (await first_run.fetch_history()).events]
    assert any(RULE in str(marker["result"]) for marker in markers if "result" in marker), (
        "its first run still names it"
    )
    done = (await payer.pay(payee, 90_00)).json()
    await ui.open(done["workflow_id"])
    await ui.reset(REASON)
    await ui.open(done["workflow_id"])
    await ui.user_metadata("Completed: the amount is with the destination.")
    assert [await payer.balance(), await payee.balance()] == [1_890_00, 90_00]


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
