"""A batch, a standing order and statements that the audit's tests tamper with."""

from datetime import timedelta

from batches.batch import BatchMode, NewBatchItem
from batches.postgres.batches import Batches
from batches.postgres.chunks import BatchPosting
from customers.postgres import Customers
from database.connections import Database
from ledger.ids import new_account_id
from ledger.postgres.book import Book
from ledger.workflow_ids import standing_order_key
from staff.postgres.reversal_record import record_reversal
from statements.postgres.account_statements import AccountStatements
from tests.connections import Connection
from tests.orders import ENCRYPTION, FINGERPRINTS, completed, order
from tests.standing_orders.scene import REVIEW_FROM_MAJOR, Scene
from tests.statements.scene import TERMS, made


async def request_scene(database: Database, owner: Connection) -> dict[str, str]:
    """What its rows are called.

    A batch of alice's paid ben, failed because of an account that does not exist, and waits with an item for a review
    that nobody has begun. Her standing order has a date that was paid and one that she skipped, and is paused. She has
    two statements, the second of which begins where the first one ends.
    """
    book, customers = Book(database, FINGERPRINTS, record_reversal), Customers(database, encryption=ENCRYPTION)
    scene = Scene(database, customers, book)
    alice, ben = await scene.holder(1_000_000), await scene.holder()

    statements = AccountStatements(database, TERMS)
    first = await made(statements, alice.account_id)
    other = await completed(book, order(alice.id, alice.account_id, ben.account_id, 77))

    amounts = {ben.account_id: 300, new_account_id(): 400}
    items = [
        NewBatchItem(f"item-{number}", alice.account_id, account, amount, "USD")
        for number, (account, amount) in enumerate(amounts.items())
    ]
    items.append(NewBatchItem("item-2", alice.account_id, ben.account_id, REVIEW_FROM_MAJOR * 100, "USD"))
    batch = (await Batches(database, FINGERPRINTS).accept(alice.id, BatchMode.BEST_EFFORT, items)).batch
    progress, _ = await BatchPosting(database, scene.bulk).post_next(batch.id)
    assert (progress.completed, progress.failed, progress.singles) == (1, 1, 1)

    standing = await scene.ordered(alice, ben)
    await scene.sweep()
    today = await scene.today()
    await scene.orders.skip(alice.id, standing.id, today + timedelta(days=1))
    await scene.orders.pause(alice.id, standing.id)
    await made(statements, alice.account_id, first.ends_at)
    return {
        "alice": alice.account_id,
        "batch": batch.id,
        "order": standing.id,
        "paid": str(today),
        "skipped": str(today + timedelta(days=1)),
        "other": other.transfer_id,
        "payment": await owner.fetchval(
            "SELECT transfer_id FROM keys WHERE idempotency_key = $1", standing_order_key(standing.id, today)
        ),
        "never": "trf_" + "a" * 26,
    }
