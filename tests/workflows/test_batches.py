"""The workflow of a batch on a real Temporal: cancelled while it starts the workflows of its items."""

from temporalio.client import Client

from batches.batch import BatchMode, BatchState, NewBatchItem
from batches.postgres.batches import Batches
from database.connections import Database
from ledger.workflow_ids import batch_workflow_id
from tests.orders import FINGERPRINTS, Holder
from tests.waiting import until
from tests.workflows.sagas import UnreliableBook, sagas
from workflows.books.batch import BatchWorkflow

# Few enough to be handed over in one step.
ITEMS = 40


async def test_a_batch_that_is_cancelled_while_it_starts_transfers_starts_no_more(
    client: Client, database: Database, book: UnreliableBook, alice: Holder, bob: Holder
) -> None:
    batches = Batches(database, FINGERPRINTS)
    items = [
        NewBatchItem(f"salary-{number}", alice.account_id, bob.account_id, 3_000, "USD") for number in range(ITEMS)
    ]
    async with sagas(client, book, review_from_major=20) as saga:
        batch_id = (await batches.accept(alice.id, BatchMode.BEST_EFFORT, items)).batch.id
        handle = await client.start_workflow(
            BatchWorkflow.run, batch_id, id=batch_workflow_id(batch_id), task_queue=saga.settings.task_queue
        )

        async def started() -> int:
            async with database.connection() as connection:
                return int(
                    await connection.fetchval(
                        "SELECT count(*) FROM transfers WHERE note IS NULL AND state <> 'completed'"
                    )
                )

        async def some_are() -> bool:
            return await started() > 0

        await until(some_are, "the first transfer is opened")
        await batches.cancel(batch_id)
        await handle.signal(BatchWorkflow.look_again)
        assert (await handle.result()).state is BatchState.CANCELLED
        assert await started() < ITEMS
