"""The page on outages: a version whose workers are gone."""

from pathlib import Path

from devenv.stack import Running
from ledger.transfers import State
from tests.api.people import Person
from tests.runbook.fleet import (
    SMALL,
    Fleet,
    ends_on,
    fails_its_tasks,
    in_transit,
    move_to_1,
    one_left_on_2,
    other_release,
)
from tests.runbook.row_locks import a_step_waits, account_held
from tests.workflows.sagas import builds


async def test_transfers_of_a_lost_version_move_to_one_that_can_replay_them(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    lost = await fleet.worker(2)
    await fleet.make_current(2)
    async with account_held(stack.database_url, payee.account_id):
        transfer = await in_transit(fleet, payer, payee)
        await a_step_waits(stack.database_url)
        lost.kill()
    await fleet.make_current(1)
    await one_left_on_2(fleet)
    await move_to_1(fleet)
    await ends_on(fleet, transfer, 2, 1)
    assert await payee.balance() == SMALL


async def test_transfers_of_a_lost_version_start_again_on_one_that_cannot_replay_them(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    await fleet.worker(1)
    lost = await fleet.worker(2, PATH=other_release(tmp_path / "next", fleet))
    await fleet.make_current(2)
    async with account_held(stack.database_url, payee.account_id):
        transfer = await in_transit(fleet, payer, payee)
        lost.kill()
        await fleet.make_current(1)
        await one_left_on_2(fleet)
        await move_to_1(fleet)
        await fails_its_tasks(fleet, transfer)
        await fleet.run(
            """temporal workflow reset with-workflow-update-options --workflow-id 'transfer/cus_…/…' --type FirstWorkflowTask
            --versioning-override-behavior pinned --versioning-override-deployment-name remit --versioning-override-build-id 1
            --reason 'version 2 is gone'""",
            {"transfer/cus_…/…": transfer.workflow_id},
        )
    assert (await fleet.of(transfer).result()).state is State.COMPLETED
    assert await builds(fleet.of(transfer)) == [fleet.name(1)]
    assert await payee.balance() == SMALL
