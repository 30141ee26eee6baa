"""The page on upgrades: workers without versions are replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from devenv.stack import Running
from ledger.ids import TransferId
from ledger.recovery import Sweep
from ledger.transfers import State
from ledger.workflow_ids import recovery_workflow_id
from tests.api.people import Person, reaches
from tests.runbook.fleet import (
    REVIEWED,
    SMALL,
    Fleet,
    completed,
    ends_on,
    fails_its_tasks,
    in_transit,
    is_driven_on,
    other_release,
    recovered,
    reviewed,
    says,
    sent,
    shows,
    still_runs,
)
from tests.runbook.row_locks import account_held

TRANSFERS_THAT_RUN = (
    """temporal workflow count --query "ExecutionStatus='Running' AND WorkflowType='TransferWorkflow'\""""
)


@asynccontextmanager
async def messages_held(stack: Running) -> AsyncIterator[None]:
    """Nothing can write a message until the block ends."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE notifications IN SHARE MODE")
            yield
    finally:
        await connection.close()


async def test_workers_without_versions_are_replaced_one_by_one(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    before = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        credited = await in_transit(fleet, payer, payee)
        waiting = await reviewed(payer, payee, REVIEWED)
        await fleet.worker()
        await before.stop()
    assert before.exit_code == 0
    await ends_on(fleet, credited, None)
    await fleet.approve(waiting)
    await ends_on(fleet, waiting, None)


async def test_a_transfer_that_new_code_cannot_replay_continues_by_reset_recovery_or_the_old_code(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    old = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        overlooked = await asyncio.gather(*(in_transit(fleet, payer, payee) for _ in range(3)))
        anew, ended, left = overlooked
        await old.stop()
        new = await fleet.worker(PATH=other_release(tmp_path / "next", fleet))
        await asyncio.gather(*(fails_its_tasks(fleet, transfer) for transfer in overlooked))
        await fleet.run(
            """temporal workflow reset     --workflow-id "$ID" --type FirstWorkflowTask --reason 'ticket 4711'""",
            ID=anew.workflow_id,
        )
        await fleet.run(
            """temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'""", ID=ended.workflow_id
        )
        await is_driven_on(fleet, ended)
        await asyncio.gather(*(reaches(payer, transfer.id, "debited") for transfer in overlooked))
    await completed(payer, anew)
    await completed(payer, ended)
    await completed(payer, left)
    assert await still_runs(fleet, left), "the step that it waited for is done, and nothing else"
    # The old code could not replay these either.
    assert (await fleet.of(anew).result()).state is State.COMPLETED
    await fleet.client.get_workflow_handle(recovery_workflow_id(TransferId(ended.id), 1)).result()
    await new.stop()
    await fleet.worker()
    assert (await fleet.of(left).result()).state is State.COMPLETED
    assert await payee.balance() == 3 * SMALL


async def test_transfers_end_before_workers_without_versions_take_code_that_cannot_replay_them(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    old = await fleet.worker()
    waiting = await reviewed(payer, payee, REVIEWED)
    await fleet.run("temporal schedule toggle   --schedule-id recovery --pause   --reason 'ticket 4711'")
    await fleet.approve(waiting)
    await ends_on(fleet, waiting, None)
    async with messages_held(stack):
        unnoticed = await sent(payer, payee)
        await shows(fleet, unnoticed, "completed")
        await says(fleet, TRANSFERS_THAT_RUN, "Total: 1\n")
        await fleet.run(
            """temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'""", ID=unnoticed.workflow_id
        )
    await says(fleet, TRANSFERS_THAT_RUN, "Total: 0\n")
    await completed(payer, unnoticed)
    await old.stop()
    await fleet.run("remit migrate", REMIT_RECOVERY_INTERVAL_SECONDS="7200")
    described = await fleet.run("temporal schedule describe --schedule-id recovery")
    assert "2h" in described, described
    assert "Paused true" in " ".join(described.split()), described

    await fleet.worker(PATH=other_release(tmp_path / "next", fleet))
    await fleet.run("temporal schedule toggle   --schedule-id recovery --unpause --reason 'ticket 4711 is done'")
    await ends_on(fleet, await sent(payer, payee), None)
    assert await recovered(fleet) == Sweep(0, [], [])
    assert await payee.balance() == REVIEWED + 2 * SMALL
