"""Steps that got stuck and what people asked of them, and workflows that were lost and recovered."""

import secrets

from temporalio.exceptions import ApplicationError

from ledger.recovery import Stranded, Sweep
from ledger.transfers import State
from staff.update_input import StaffRequest
from tests.histories.stage import RecordedAction, Stage, path
from tests.workflows.sagas import Handle, Hold
from tests.workflows.test_stuck import Outage, is_flagged
from workflows.recovery import RecoveryWorkflow

SOON = {"stuck_after_seconds": 1}
AT_ONCE = {"recovery_grace_seconds": 0}


def ask(stage: Stage) -> StaffRequest:
    return StaffRequest(stage.olu, "the database is back")


async def stuck(stage: Stage, step: str = "credit") -> tuple[Handle, Outage]:
    outage = Outage(stage.saga.book.before[step])
    handle = await stage.start(100)
    await is_flagged(handle, stuck=True)
    return handle, outage


async def stranded(stage: Stage, step: str) -> tuple[Stranded, Hold]:
    """A transfer whose workflow was terminated before this step."""
    wanted = stage.order(100)
    handle, hold = await stage.held_at(step, wanted)
    await handle.terminate("by an operator")
    return Stranded(wanted, State.DEBITED), hold


async def swept(stage: Stage) -> RecordedAction:
    handle = await stage.saga.client.start_workflow(
        RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=stage.saga.settings.task_queue
    )
    assert isinstance(await handle.result(), Sweep)
    return handle


@path(**SOON)
async def stuck_and_healed(stage: Stage) -> RecordedAction:
    handle, outage = await stuck(stage)
    outage.over = True
    return handle


@path(**SOON)
async def stuck_and_retried_now(stage: Stage) -> RecordedAction:
    handle, outage = await stuck(stage)
    outage.over = True
    await handle.execute_update("retry_now", ask(stage))
    return handle


@path(**SOON)
async def stuck_and_retried_in_vain(stage: Stage) -> RecordedAction:
    handle, outage = await stuck(stage, "debit")
    await handle.execute_update("retry_now", ask(stage))
    outage.over = True
    return handle


@path(**SOON)
async def stuck_and_given_back(stage: Stage) -> RecordedAction:
    handle, outage = await stuck(stage)
    await handle.execute_update("give_back", ask(stage))
    await handle.result()
    outage.over = True
    return handle


@path(**AT_ONCE)
async def recovery_found_nothing(stage: Stage) -> RecordedAction:
    return await swept(stage)


@path(**AT_ONCE)
async def recovery_drove_on(stage: Stage) -> RecordedAction:
    lost, hold = await stranded(stage, "credit")
    handle = await swept(stage)
    hold.released.set()
    await stage.is_now(lost.order, State.COMPLETED)
    return handle


@path(**AT_ONCE)
async def driven_on_by_recovery(stage: Stage) -> RecordedAction:
    lost, hold = await stranded(stage, "credit")
    await swept(stage)
    hold.released.set()
    return stage.saga.client.get_workflow_handle(lost.recovery_id)


@path(**AT_ONCE)
async def recovery_abandoned(stage: Stage) -> RecordedAction:
    lost, hold = await stranded(stage, "debit")
    handle = await swept(stage)
    hold.released.set()
    await stage.is_now(lost.order, State.FAILED)
    return handle


@path(**AT_ONCE)
async def recovery_could_not_end_one(stage: Stage) -> RecordedAction:
    for _ in range(2):
        await stage.saga.book.open_transfer(stage.order(100))

    async def cannot() -> None:
        raise ApplicationError("not this one", non_retryable=True)

    stage.saga.book.before["end"].append(cannot)
    handle = await swept(stage)
    await swept(stage)
    return handle
