"""The page on upgrades: a version is rolled out, becomes current, drains, and comes back."""

from pathlib import Path

from database.connections import Database
from devenv.stack import Running
from ledger.recovery import Sweep
from tests.api.people import Person, reaches
from tests.orders import staff
from tests.runbook.fleet import (
    FOUR_EYES,
    REVIEWED,
    SMALL,
    Fleet,
    drained,
    ends_on,
    in_transit,
    leave_versions,
    one_left_on_2,
    other_release,
    recovered,
    reviewed,
    says,
    sent,
    waits_for_a_worker,
)
from tests.runbook.row_locks import account_held


def columns(printed: str, title: str = "") -> str:
    """The column heads of the table below the title."""
    table = printed[printed.index(title) + len(title) :]
    return " ".join(table.strip().splitlines()[0].split())


async def test_a_version_is_rolled_out_and_the_one_before_drains(fleet: Fleet, payer: Person, payee: Person) -> None:
    first = await fleet.worker(1)
    await fleet.make_current(1)
    assert "Version not found in deployment" in await fleet.run(
        "temporal worker deployment set-current-version --deployment-name remit --build-id 2 --yes", exits=1
    )
    held_on_1 = await reviewed(payer, payee, REVIEWED)

    second = await fleet.worker(2)
    output = fleet.log(second)
    assert "new transfers start here once this version is current command='temporal worker deployment" in output
    assert "--build-id 2'" in output
    assert "worker runs                    build_id=2 task_queue=transfers" in output
    await ends_on(fleet, await sent(payer, payee), 1)
    pollers = await fleet.run("temporal task-queue describe --task-queue transfers --select-build-id remit:2")
    assert columns(pollers, "Pollers:") == "BuildID TaskQueueType Identity LastAccessTime RatePerSecond"

    await fleet.make_current(2)
    await ends_on(fleet, await sent(payer, payee), 2)
    await says(
        fleet,
        """temporal workflow count --query "TemporalWorkerDeploymentVersion='remit:1' AND ExecutionStatus='Running'\"""",
        "Total: 1\n",
    )
    left = await fleet.run(
        """temporal workflow list  --query "TemporalWorkerDeploymentVersion='remit:1' AND ExecutionStatus='Running'\""""
    )
    assert columns(left) == "Status WorkflowId Type StartTime"
    assert f"Running {held_on_1.workflow_id} TransferWorkflow" in " ".join(left.split())
    described = await fleet.run("temporal worker deployment describe --name remit")
    assert columns(described, "Version Summaries:") == "DeploymentName BuildID DrainageStatus CreateTime"
    described = " ".join(described.split())
    assert "CurrentVersionDeploymentName remit CurrentVersionBuildID 2 " in described
    assert " remit 2 unspecified " in described
    assert " remit 1 draining " in described

    await fleet.approve(held_on_1)
    await ends_on(fleet, held_on_1, 1)
    await says(
        fleet,
        """temporal workflow count --query "TemporalWorkerDeploymentVersion='remit:1' AND ExecutionStatus='Running'\"""",
        "Total: 0\n",
    )
    await drained(fleet, 1)
    await first.stop()
    assert first.exit_code == 0
    await ends_on(fleet, await sent(payer, payee), 2)


async def test_every_transfer_ends_on_its_version_through_a_roll_out_and_back_between_codes_that_cannot_replay_each_other(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    await fleet.worker(1)
    await fleet.worker(2, PATH=other_release(tmp_path / "next", fleet))
    await fleet.make_current(1)
    in_review_on_1 = await reviewed(payer, payee, REVIEWED)
    async with account_held(stack.database_url, payee.account_id):
        in_transit_on_1 = await in_transit(fleet, payer, payee)
        await fleet.make_current(2)
        in_transit_on_2 = await in_transit(fleet, payer, payee)
        in_review_on_2 = await reviewed(payer, payee, REVIEWED)
        await fleet.make_current(1)
    await ends_on(fleet, await sent(payer, payee), 1)
    await fleet.approve(in_review_on_1)
    await fleet.approve(in_review_on_2)
    await ends_on(fleet, in_transit_on_1, 1)
    await ends_on(fleet, in_review_on_1, 1)
    await ends_on(fleet, in_transit_on_2, 2)
    await ends_on(fleet, in_review_on_2, 2)
    assert await payee.balance() == 2 * REVIEWED + 3 * SMALL


async def test_workers_without_versions_get_what_is_new_before_the_first_version_is_current_and_after_versions_are_left(
    fleet: Fleet, database: Database, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    waits = await sent(payer, payee)
    await waits_for_a_worker(fleet, payer, waits)
    await fleet.worker()
    await ends_on(fleet, waits, None)

    taken_over = await reviewed(payer, payee, FOUR_EYES)
    await fleet.make_current(1)
    await fleet.approve(taken_over)
    held_on_1 = await reviewed(payer, payee, REVIEWED)
    await fleet.worker(2)
    await fleet.make_current(2)
    await fleet.approve(taken_over, by=await staff(database))
    await ends_on(fleet, taken_over, None, 1)

    await leave_versions(fleet)
    await ends_on(fleet, await sent(payer, payee), None)
    await fleet.approve(held_on_1)
    await ends_on(fleet, held_on_1, 1)


async def test_a_version_whose_workers_died_can_become_current_and_continues_when_one_starts(
    fleet: Fleet, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    lost = await fleet.worker(2)
    await fleet.make_current(2)
    pinned = await reviewed(payer, payee, REVIEWED)
    await one_left_on_2(fleet)
    lost.kill()
    assert await fleet.pollers(2, lost) == {"workflow", "activity"}, "it stays in the list for some minutes"
    await fleet.make_current(1)
    await fleet.make_current(2)
    new = await sent(payer, payee)
    await waits_for_a_worker(fleet, payer, new)

    await fleet.make_current(1)
    await ends_on(fleet, new, 1)
    assert await recovered(fleet) == Sweep(0, [], []), "its workflow runs, so recovery leaves it alone"
    await reaches(payer, pinned.id, "in_review")

    await fleet.worker(2)
    await fleet.approve(pinned)
    await ends_on(fleet, pinned, 2)
