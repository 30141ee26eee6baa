"""Batches: posted in chunks, with an item that goes its own way, and held for a person's decision."""

from datetime import timedelta

from batches.batch import BatchMode, NewBatchItem
from batches.postgres.batches import Batches
from batches.postgres.held_batches import HeldBatches
from ledger.ids import BatchId
from ledger.workflow_ids import batch_workflow_id
from staff.permissions import Actor, Role
from tests.histories.stage import RecordedAction, Stage, path
from tests.orders import FINGERPRINTS
from tests.waiting import until
from workflows.books.batch import BatchWorkflow


def _batches(stage: Stage) -> Batches:
    return Batches(stage.saga.book.database, FINGERPRINTS)


async def _started(stage: Stage, mode: BatchMode, *amounts: int) -> tuple[BatchId, RecordedAction]:
    items = [
        NewBatchItem(f"salary-{number}", stage.ada.account_id, stage.ben.account_id, amount, "USD")
        for number, amount in enumerate(amounts)
    ]
    batch_id = (await _batches(stage).accept(stage.ada.id, mode, items)).batch.id
    handle = await stage.saga.client.start_workflow(
        BatchWorkflow.run, batch_id, id=batch_workflow_id(batch_id), task_queue=stage.saga.settings.task_queue
    )
    return batch_id, handle


async def _held(stage: Stage) -> tuple[BatchId, RecordedAction]:
    batch_id, handle = await _started(stage, BatchMode.ATOMIC, 100, 3_000)

    async def is_held() -> bool:
        return (await _batches(stage).find(batch_id)).batch.state == "held"

    await until(is_held, "the batch is held")
    return batch_id, handle


@path()
async def batch_posted(stage: Stage) -> RecordedAction:
    _, handle = await _started(stage, BatchMode.BEST_EFFORT, 100, 200)
    return handle


@path(review_from_major=20)
async def batch_with_an_item_in_review(stage: Stage) -> RecordedAction:
    _, handle = await _started(stage, BatchMode.BEST_EFFORT, 100, 3_000)
    return handle


@path(review_from_major=20)
async def batch_approved(stage: Stage) -> RecordedAction:
    batch_id, handle = await _held(stage)
    held = HeldBatches(stage.saga.book.database, None, timedelta(0))
    await held.decide(Actor(stage.olu, Role.ADMIN), batch_id, "Known payees", approve=True)
    await handle.signal(BatchWorkflow.look_again)
    return handle


@path(review_from_major=20)
async def batch_cancelled_in_temporal(stage: Stage) -> RecordedAction:
    _, handle = await _held(stage)
    await handle.cancel()
    return handle
