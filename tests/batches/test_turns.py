"""Single transfers of an account that pays a batch: they wait for one chunk at most, and chunks do not take long."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from batches.batch import CHUNK, BatchMode, BatchState, NewBatchItem
from batches.postgres import chunks
from batches.postgres.batches import Batches
from batches.postgres.chunks import LOCKED_FOR, SMALLEST_CHUNK, BatchPosting, next_size
from bulk_transfers.postgres import BulkTransfers
from customers.postgres import Customers
from database.connections import Database
from ledger.bulk.fold import BulkOutcome
from ledger.ids import AccountId
from ledger.postgres import account_queue
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.book import Book
from ledger.transfers import Step
from screening.postgres.rules_in_force import RulesInForce
from screening.rule_sets import default_rule_set
from tests.connections import Connection
from tests.orders import FINGERPRINTS, order
from tests.standing_orders.scene import Scene
from tests.waiting import until

SINGLES, ITEMS = 5, 3
LONG = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, nobody is sent away."""
    for limit in ("HELD_AFTER", "PATIENCE", "COURTESY"):
        monkeypatch.setattr(account_queue, limit, LONG)


async def test_steps_that_wait_when_a_chunk_comes_go_before_it(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    """Only one of them waits in PostgreSQL. The others would have been overtaken by chunk after chunk."""
    scene = Scene(database, customers, book)
    payer, payee = await scene.holder(10_000), await scene.holder()
    singles = [order(payer.id, payer.account_id, payee.account_id, 100) for _ in range(SINGLES)]
    for each in singles:
        await book.open_transfer(each)
    batches = Batches(database, FINGERPRINTS)
    items = [NewBatchItem(f"salary-{n}", payer.account_id, payee.account_id, 7, "USD") for n in range(ITEMS)]
    batch_id = (await batches.accept(payer.id, BatchMode.BEST_EFFORT, items)).batch.id
    posting = BatchPosting(database, scene.bulk, book.queues)

    async def waits_in_postgresql() -> bool:
        return bool(await database_waits(database))

    async def is_begun() -> bool:
        async with database.connection() as connection:
            free = "SELECT id FROM batches WHERE id = $1 FOR UPDATE SKIP LOCKED"
            return await connection.fetchval(free, batch_id) is None

    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", payer.account_id)
        debits = [asyncio.create_task(book.debit(Step(each.transfer_id, 1, payer.account_id))) for each in singles]
        await until(waits_in_postgresql, "the first debit waits for the row", 20)
        chunk = asyncio.create_task(posting.post_next(batch_id))
        await until(is_begun, "the chunk waits for its accounts", 20)
    await asyncio.gather(*debits)
    assert (await chunk)[0].state is BatchState.COMPLETED
    rows = await owner.fetch(
        "SELECT amount_minor FROM entries WHERE account_id = $1 AND amount_minor < 0 ORDER BY version", payer.account_id
    )
    assert [row["amount_minor"] for row in rows] == [-100] * SINGLES + [-7] * ITEMS
    for each in singles:
        await book.credit(Step(each.transfer_id, 1, payee.account_id))


@pytest.mark.parametrize("waiting_for", ["the account", "its turn to number events", "nothing"])
async def test_chunks_that_somebody_waits_for_are_followed_by_smaller_ones(
    database: Database,
    customers: Customers,
    book: Book,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
    waiting_for: str,
) -> None:
    """In whichever process it waits. Chunks that nobody waits for with a payment are as large as they may be."""
    monkeypatch.setattr(chunks, "LOCKED_FOR", LONG)
    monkeypatch.setattr(chunks, "OTHERS_REMEMBERED", LONG)
    monkeypatch.setattr(chunks, "LOCKED_FOR_BESIDE_OTHERS", timedelta(microseconds=1))
    scene = Scene(database, customers, book)
    payer, payee = await scene.holder(10_000), await scene.holder()
    single = order(payer.id, payer.account_id, payee.account_id, 100)
    await book.open_transfer(single)
    batches, many = Batches(database, FINGERPRINTS), CHUNK // 2 + 10
    waiting: list[asyncio.Task[object]] = []

    async def wait() -> object:
        if waiting_for == "the account":
            return await book.debit(Step(single.transfer_id, 1, payer.account_id))
        return await owner.execute("SELECT FROM event_head FOR UPDATE")

    async def somebody_waits() -> bool:
        return bool(await database_waits(database))

    class Watched(BulkTransfers):
        """Has somebody wait for the first chunk."""

        async def post(self, *args: Any, **options: Any) -> list[BulkOutcome]:
            outcomes = await super().post(*args, **options)
            if waiting_for != "nothing" and not waiting:
                waiting.append(asyncio.create_task(wait()))
                await until(somebody_waits, "somebody waits for the chunk", 20)
            return outcomes

    rules = RulesInForce(database, default_rule_set(review_from_major=None, decline_from_major=None))
    posting = BatchPosting(database, Watched(FINGERPRINTS, rules))
    for name in ("first", "second"):
        items = [NewBatchItem(f"{name}-{n}", payer.account_id, payee.account_id, 7, "USD") for n in range(many)]
        batch_id = (await batches.accept(payer.id, BatchMode.BEST_EFFORT, items)).batch.id
        while not (await posting.post_next(batch_id))[0].state.is_final:
            pass
    await asyncio.gather(*waiting)
    rows = await owner.fetch("SELECT lines FROM batch_chunks WHERE batch_id = $1 ORDER BY number", batch_id)
    assert [row["lines"] for row in rows] == ([CHUNK // 2, 10] if waiting_for == "the account" else [many])


async def database_waits(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_who_lets_steps_pass_waits_for_no_account_that_nobody_needs() -> None:
    queues = AccountQueues()
    await asyncio.wait_for(queues.let_steps_pass([AccountId("acc_1"), AccountId("acc_2")]), 1)


async def test_who_lets_steps_pass_waits_no_longer_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_queue, "COURTESY", timedelta(milliseconds=50))
    queues, account_id = AccountQueues(), AccountId("acc_1")
    async with queues.turn(account_id):
        await asyncio.wait_for(queues.let_steps_pass([account_id]), 5)
        after = asyncio.create_task(_enter(queues, account_id))
        await asyncio.sleep(0)
    await asyncio.wait_for(after, 5)


async def _enter(queues: AccountQueues, account_id: AccountId) -> None:
    async with queues.turn(account_id):
        pass


def test_a_chunk_that_locks_its_accounts_for_too_long_is_followed_by_a_smaller_one() -> None:
    assert next_size(CHUNK, CHUNK, 2 * LOCKED_FOR) == CHUNK // 2
    assert next_size(CHUNK, CHUNK, 20 * LOCKED_FOR) == CHUNK // 2, "one slow chunk says little"
    assert next_size(60, 60, 20 * LOCKED_FOR) == SMALLEST_CHUNK
    assert next_size(100, 100, LOCKED_FOR / 10) == 200, "it grows by steps"
    assert next_size(400, 400, LOCKED_FOR / 4) == CHUNK
    assert next_size(CHUNK, 3, LOCKED_FOR / 10) == CHUNK, "the rest of a batch says nothing about larger chunks"
    assert next_size(CHUNK, CHUNK, timedelta()) == CHUNK
