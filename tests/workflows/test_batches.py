"""The workflow of a batch on a real Temporal: cancelled while it starts workflows of its items, and lost."""

import pytest
from temporalio.client import Client

from batches.batch import BatchMode, BatchProgress, BatchState, NewBatchItem
from batches.postgres import chunks
from batches.postgres.batches import Batches
from bulk_transfers.postgres import BulkTransfers
from database.connections import Database
from ledger.postgres.account_reads import AccountReads
from ledger.workflow_ids import batch_workflow_id
from screening.postgres.rules_in_force import RulesInForce
from screening.rule_sets import default_rule_set
from tests.orders import FINGERPRINTS, Holder
from tests.waiting import until
from tests.workflows.sagas import UnreliableBook, sagas
from workflows.books.batch import BatchWorkflow
from workflows.recovery import RecoveryWorkflow

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


async def test_a_batch_that_lost_its_workflow_in_the_middle_is_finished_by_recovery(
    client: Client,
    database: Database,
    book: UnreliableBook,
    alice: Holder,
    bob: Holder,
    account_reads: AccountReads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    batches = Batches(database, FINGERPRINTS)
    items = [NewBatchItem(f"salary-{number}", alice.account_id, bob.account_id, 10, "USD") for number in range(5)]
    batch_id = (await batches.accept(alice.id, BatchMode.BEST_EFFORT, items)).batch.id
    rules = RulesInForce(database, default_rule_set(review_from_major=None, decline_from_major=None))
    before, written = await chunks.BatchPosting(database, BulkTransfers(FINGERPRINTS, rules)).post_next(batch_id)
    assert (before.state, before.posted, len(written)) == (BatchState.IN_PROGRESS, 2, 2)
    bobs = await account_reads.find(bob.account_id)
    async with sagas(client, book, recovery_grace_seconds=0) as saga:
        sweep = await client.execute_workflow(
            RecoveryWorkflow.run, id=f"sweep-{batch_id}", task_queue=saga.settings.task_queue
        )
        assert sweep.batches == [batch_id]
        lost = client.get_workflow_handle(batch_workflow_id(batch_id), result_type=BatchProgress)
        ended = await lost.result()
    assert (ended.state, ended.completed, ended.failed) == (BatchState.COMPLETED, 5, 0)
    paid = await account_reads.find(bob.account_id)
    assert bobs is not None
    assert paid is not None
    assert paid.balance_minor - bobs.balance_minor == 3 * 10, "the first chunk was paid before, and once"
