"""Clicks on the schedule of recovery, and on transfers that lost their workflow."""

from temporalio.client import Client

from devenv.stack import Running
from ledger.ids import TransferId
from ledger.workflow_ids import recovery_workflow_id
from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.runbook.transfers import REVIEWED, in_transit, transfer
from tests.runbook.web_ui import REASON, WebUI
from tests.waiting import until


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
    await sweep(ui, payer, waiting, "failed")


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
