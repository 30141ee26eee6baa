"""Rebuilds of accounts from their entries."""

from ledger.workflow_ids import rebuild_workflow_id
from staff.permissions import Actor, Role
from staff.rebuilds.postgres import Rebuilds
from tests.histories.stage import RecordedAction, Stage, path
from workflows.books.rebuild import RebuildWorkflow


@path()
async def rebuilt_all_accounts(stage: Stage) -> RecordedAction:
    requested = await Rebuilds(stage.saga.book.database).request(Actor(stage.olu, Role.ADMIN), None, "ticket 4711")
    return await stage.saga.client.start_workflow(
        RebuildWorkflow.run,
        requested.id,
        id=rebuild_workflow_id(requested.id),
        task_queue=stage.saga.settings.task_queue,
    )
