"""How transfers are found, and what one shows."""

from urllib.parse import quote

from devenv.stack import Running
from ledger.ids import CustomerId
from ledger.workflow_ids import transfer_workflow_id
from tests.api.people import Person, in_review
from tests.runbook.commands import Runbook
from tests.runbook.transfers import REVIEWED, in_transit, transfer
from tests.runbook.web_ui import WebUI


async def test_a_completed_transfer_shows_each_of_its_steps_by_name(ui: WebUI, payer: Person, paid: str) -> None:
    await ui.open((await transfer(payer, paid))["workflow_id"])
    for step in ("open_transfer", "screen_transfer", "debit_source", "credit_destination", "notify_parties"):
        await ui.page.get_by_text(step).first.wait_for()
    await ui.picture("completed")


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
