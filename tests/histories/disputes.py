"""Transfers that are brought back, and disputes about them."""

from disputes.dispute import Dispute, DisputeDecision, DisputeRuling, DisputeState, DisputeTerms
from ledger.accounts import AccountStatus
from ledger.transfers import TransferOrder
from tests.account_status import set_account_status
from tests.histories.interventions import AT_ONCE, swept
from tests.histories.stage import RecordedAction, Stage, path
from tests.orders import changed, reversal
from tests.orders import completed as done
from tests.waiting import until
from tests.workflows.sagas import Hold, line_breaks
from workflows.dispute import DisputeWorkflow

PAID = 2_500
FORTNIGHT = 14 * 24 * 60 * 60


async def paid(stage: Stage) -> TransferOrder:
    return await done(stage.saga.book, stage.order(PAID))


async def opened(stage: Stage, deadline_seconds: int = FORTNIGHT) -> Dispute:
    terms = DisputeTerms(window_days=120, deadline_seconds=deadline_seconds)
    wanted = await paid(stage)
    dispute = await stage.disputes.open(stage.ada.id, wanted.transfer_id, "The goods never came", terms)
    assert dispute is not None
    return dispute


async def started(stage: Stage, dispute: Dispute) -> RecordedAction:
    return await stage.saga.client.start_workflow(
        DisputeWorkflow.run, dispute.id, id=dispute.workflow_id, task_queue=stage.saga.settings.task_queue
    )


async def ended(stage: Stage, dispute: Dispute) -> None:
    async def is_over() -> bool:
        found = await stage.disputes.find(dispute.id)
        return found is not None and found[0].state.is_final

    await until(is_over, "the dispute is over")


def reverses(stage: Stage, amount_minor: int | None = None) -> DisputeDecision:
    return DisputeDecision(stage.olu, DisputeRuling.REVERSE, "No proof of delivery", amount_minor)


async def stopped_while_reversing(stage: Stage) -> tuple[Dispute, Hold]:
    """A dispute whose workflow was terminated after its decision; its reversal is held in transit."""
    dispute, hold = await opened(stage), Hold()
    stage.saga.book.before["credit"] += [line_breaks, hold]
    handle = await started(stage, dispute)
    await handle.execute_update("decide", reverses(stage))
    await hold.reached.wait()
    await handle.terminate("by an operator")
    return dispute, hold


@path()
async def reversal_of_a_part(stage: Stage) -> RecordedAction:
    return await stage.saga.start(reversal(await paid(stage), stage.ben.id, 1_000))


@path()
async def reversal_by_staff(stage: Stage) -> RecordedAction:
    return await stage.saga.start(reversal(await paid(stage), stage.olu, PAID, note="Court order 7"))


@path()
async def reversal_of_too_much(stage: Stage) -> RecordedAction:
    return await stage.saga.start(reversal(await paid(stage), stage.ben.id, PAID + 1))


@path()
async def reversal_compensated(stage: Stage) -> RecordedAction:
    async def freeze() -> None:
        await set_account_status(stage.saga.book.database, stage.ada.account_id, AccountStatus.FROZEN)

    wanted = await paid(stage)
    stage.saga.book.before["credit"].append(freeze)
    return await stage.saga.start(reversal(wanted, stage.ben.id, PAID))


@path()
async def dispute_reversed(stage: Stage) -> RecordedAction:
    handle = await started(stage, await opened(stage))
    await handle.execute_update("decide", reverses(stage, 1_000))
    return handle


@path()
async def dispute_stated_and_decided_at_the_api(stage: Stage) -> RecordedAction:
    dispute = await opened(stage)
    handle = await started(stage, dispute)
    await stage.disputes.add_statement(dispute.id, stage.ben.id, "They came on Monday")
    await handle.signal(DisputeWorkflow.look_again)
    await stage.disputes.decide(dispute.id, reverses(stage))
    await handle.signal(DisputeWorkflow.look_again)
    return handle


@path()
async def dispute_rejected(stage: Stage) -> RecordedAction:
    handle = await started(stage, await opened(stage))
    await handle.execute_update("decide", DisputeDecision(stage.olu, DisputeRuling.REJECT, "Delivery is proven"))
    return handle


@path()
async def dispute_expired(stage: Stage) -> RecordedAction:
    return await started(stage, await opened(stage, deadline_seconds=1))


@path()
async def dispute_whose_reversal_failed(stage: Stage) -> RecordedAction:
    dispute = await opened(stage)
    await set_account_status(stage.saga.book.database, stage.ben.account_id, AccountStatus.FROZEN)
    handle = await started(stage, dispute)
    await handle.execute_update("decide", reverses(stage))
    return handle


@path()
async def dispute_whose_reversal_could_not_begin(stage: Stage) -> RecordedAction:
    """Its key was used for something else."""
    dispute = await opened(stage)
    await stage.disputes.decide(dispute.id, reverses(stage))
    order = (await stage.disputes.course(dispute.id)).reversal
    assert order is not None
    await stage.saga.book.open_transfer(changed(order, amount_minor=1))
    await done(stage.saga.book, changed(order, amount_minor=1))
    return await started(stage, dispute)


@path()
async def dispute_whose_reversal_lost_its_workflow(stage: Stage) -> RecordedAction:
    dispute, hold = await opened(stage), Hold()
    stage.saga.book.before["credit"] += [line_breaks, hold]
    handle = await started(stage, dispute)
    await stage.disputes.decide(dispute.id, reverses(stage))
    await handle.signal(DisputeWorkflow.look_again)
    await hold.reached.wait()
    order = (await stage.disputes.course(dispute.id)).reversal
    assert order is not None
    await stage.saga.client.get_workflow_handle(order.workflow_id).terminate("by an operator")
    hold.released.set()
    return handle


@path()
async def dispute_terminated_and_run_again(stage: Stage) -> RecordedAction:
    dispute, hold = await stopped_while_reversing(stage)
    handle = await started(stage, dispute)
    hold.released.set()
    return handle


@path()
async def dispute_run_again_after_its_end(stage: Stage) -> RecordedAction:
    dispute = await opened(stage)
    await stage.disputes.decide(dispute.id, reverses(stage))
    assert await (await started(stage, dispute)).result() is DisputeState.REVERSED
    return await started(stage, dispute)


@path(**AT_ONCE)
async def recovery_started_a_dispute_again(stage: Stage) -> RecordedAction:
    dispute, hold = await stopped_while_reversing(stage)
    handle = await swept(stage)
    hold.released.set()
    await ended(stage, dispute)
    return handle
