"""Clicks on a dispute."""

from typing import Any

import pytest

from ledger.ids import DisputeId
from ledger.workflow_ids import dispute_workflow_id
from tests.api.disputes.test_disputes import becomes, opens
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.runbook.web_ui import REASON, WebUI, on_page
from tests.waiting import until


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
