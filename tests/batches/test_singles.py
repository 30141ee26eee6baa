"""Items of a batch that screening stops: each becomes a transfer with a workflow of its own, or never one."""

from dataclasses import dataclass

import pytest

from batches.batch import BatchItemState, BatchMode, BatchProgress, BatchState, NewBatchItem, batch_item_key
from batches.postgres.batches import Batches
from batches.postgres.chunks import BatchPosting
from customers.postgres import Customers
from database.connections import Database
from ledger.fingerprints import Fingerprints
from ledger.ids import BatchId, CustomerId
from ledger.postgres.book import Book
from tests.connections import Connection
from tests.orders import FINGERPRINT_KEY, FINGERPRINTS, NEXT_FINGERPRINT_KEY
from tests.standing_orders.scene import REVIEW_FROM_MAJOR, Scene

REVIEWED = REVIEW_FROM_MAJOR * 100


@dataclass
class Posted:
    """A batch of two items. The first needs a person's review, the second is paid."""

    scene: Scene
    owner_id: CustomerId
    id: BatchId
    progress: BatchProgress

    @property
    def batches(self) -> Batches:
        return Batches(self.scene.database, FINGERPRINTS)

    async def post_next(self) -> BatchProgress:
        progress, _ = await BatchPosting(self.scene.database, self.scene.bulk).post_next(self.id)
        return progress

    async def states(self) -> list[BatchItemState]:
        batch = (await self.batches.find(self.id)).batch
        return [each.state for each in (await self.batches.items(batch, 0, 10)).items]


@pytest.fixture
async def posted(database: Database, customers: Customers, book: Book) -> Posted:
    scene = Scene(database, customers, book)
    payer, payee = await scene.holder(1_000_000), await scene.holder()
    items = [
        NewBatchItem(f"salary-{amount}", payer.account_id, payee.account_id, amount, "USD") for amount in (REVIEWED, 1)
    ]
    batch = (await Batches(database, FINGERPRINTS).accept(payer.id, BatchMode.BEST_EFFORT, items)).batch
    found = Posted(scene, payer.id, batch.id, BatchProgress(batch.state, 2, 0, 0, 0, 0))
    found.progress = await found.post_next()
    assert len(found.progress.to_start) == 1
    assert await found.states() == [BatchItemState.INITIATED, BatchItemState.COMPLETED]
    return found


async def test_an_item_whose_transfer_was_not_begun_is_not_posted_once_its_batch_is_cancelled(posted: Posted) -> None:
    cancelled = await posted.batches.cancel(posted.id)
    assert await posted.states() == [BatchItemState.NOT_POSTED, BatchItemState.COMPLETED]
    assert +cancelled.counts == {BatchItemState.NOT_POSTED: 1, BatchItemState.COMPLETED: 1}  # type: ignore[operator]
    assert (await posted.post_next()).state is BatchState.CANCELLED


async def test_an_item_whose_key_has_another_request_meanwhile_is_not_started_for_ever(
    posted: Posted, owner: Connection
) -> None:
    key = batch_item_key(posted.id, 1)
    await owner.execute("INSERT INTO keys (owner_id, idempotency_key) VALUES ($1, $2)", posted.owner_id, key)
    await owner.execute(
        "INSERT INTO answers (owner_id, idempotency_key, request, status, body) "
        "VALUES ($1, $2, repeat('a', 64), 200, '{}')",
        posted.owner_id,
        key,
    )
    after = await posted.post_next()
    assert (after.state, after.to_start) == (BatchState.COMPLETED, [])
    assert await posted.states() == [BatchItemState.NOT_POSTED, BatchItemState.COMPLETED]


async def test_an_item_whose_fingerprint_key_was_retired_meanwhile_is_not_started_for_ever(posted: Posted) -> None:
    posted.scene.fingerprints = Fingerprints([NEXT_FINGERPRINT_KEY], retired=[FINGERPRINT_KEY])
    after = await posted.post_next()
    assert (after.state, after.to_start) == (BatchState.COMPLETED, [])
    assert await posted.states() == [BatchItemState.NOT_POSTED, BatchItemState.COMPLETED]
