"""A large batch is accepted beside other requests of its process."""

import asyncio

from batches.batch import MOST_ITEMS, BatchMode, NewBatchItem
from batches.postgres.batches import Batches
from customers.postgres import Customers
from database.connections import Database
from ledger.fingerprints import Fingerprints
from ledger.postgres.book import Book
from ledger.transfers import TransferOrder
from tests.orders import FINGERPRINT_KEY
from tests.standing_orders.scene import Scene


class WatchedFingerprints(Fingerprints):
    """Keeps how often something else was done in between."""

    turns = 0

    def __init__(self) -> None:
        super().__init__([FINGERPRINT_KEY])
        self.turns_seen: set[int] = set()

    def signed(self, order: TransferOrder) -> TransferOrder:
        self.turns_seen.add(self.turns)
        return super().signed(order)


async def test_others_have_their_turns_while_ten_thousand_items_are_signed(
    database: Database, customers: Customers, book: Book
) -> None:
    scene, fingerprints = Scene(database, customers, book), WatchedFingerprints()
    payer, payee = await scene.holder(), await scene.holder()
    items = [NewBatchItem(f"salary-{n}", payer.account_id, payee.account_id, 1, "USD") for n in range(MOST_ITEMS)]

    async def others() -> None:
        while True:
            fingerprints.turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    accepted = await Batches(database, fingerprints).accept(payer.id, BatchMode.BEST_EFFORT, items)
    beside.cancel()
    assert accepted.batch.total == MOST_ITEMS
    assert len(fingerprints.turns_seen) >= 50
