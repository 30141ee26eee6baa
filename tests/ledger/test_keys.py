"""A key names one transfer, for ever: whoever writes its row first has it, and the other one moves nothing."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import asyncpg
import pytest

from customers.postgres import Customers
from database.answers import KeptAnswer, KeyedRequest, KeyTaken, keep_answer
from database.connections import WORKER_ROLE, Database
from ledger.ids import WORLD
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import TransferReads
from ledger.refusals import OrderMismatch, UnknownTransfer
from ledger.transfers import State, Step, TransferOrder
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.orders import FINGERPRINTS, Holder, completed, funded, order

TRIES = 60


@pytest.fixture
async def other_book(database_url: str) -> AsyncIterator[Book]:
    """The book of another process: it shares the database and nothing else."""
    async with Database(database_url, connections=10, role=WORKER_ROLE) as database:
        yield Book(database, FINGERPRINTS, record_reversal)


@pytest.fixture
async def ann(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def bob(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 100)


def deposit(ann: Holder, amount_minor: int, transaction_id: str, key: str | None = None) -> TransferOrder:
    return order(ann.id, WORLD, ann.account_id, amount_minor, transaction_id=transaction_id, key=key)


async def balances(account_reads: AccountReads, *holders: Holder) -> list[int]:
    accounts = [await account_reads.find(each.account_id) for each in holders]
    return [account.balance_minor for account in accounts if account is not None]


async def is_refused(attempt: Coroutine[Any, Any, object]) -> bool:
    try:
        await attempt
    except OrderMismatch:
        return True
    return False


async def test_a_key_that_a_repeated_transaction_id_took_opens_no_transfer(
    book: Book, account_reads: AccountReads, ann: Holder, bob: Holder
) -> None:
    first = deposit(ann, 700, "bank-1")
    await completed(book, first)
    await book.write_key(deposit(ann, 700, "bank-1", key="k"), first.transfer_id)
    late = order(ann.id, ann.account_id, bob.account_id, 250, key="k")
    with pytest.raises(OrderMismatch):
        await book.open_transfer(late)
    with pytest.raises(UnknownTransfer):
        await book.debit(Step(late.transfer_id, 1))
    assert await balances(account_reads, ann, bob) == [10_700, 100]


async def test_a_key_that_opened_a_transfer_answers_no_repeated_transaction_id(
    book: Book, ann: Holder, bob: Holder
) -> None:
    first = deposit(ann, 700, "bank-1")
    await completed(book, first)
    await book.open_transfer(order(ann.id, ann.account_id, bob.account_id, 250, key="k"))
    with pytest.raises(OrderMismatch):
        await book.write_key(deposit(ann, 700, "bank-1", key="k"), first.transfer_id)


async def test_an_order_that_repeats_a_transaction_id_takes_its_key(
    book: Book, transfer_reads: TransferReads, ann: Holder, bob: Holder
) -> None:
    first, again = deposit(ann, 700, "bank-1"), deposit(ann, 700, "bank-1", key="k")
    await completed(book, first)
    for _ in range(2):
        standing = (await book.open_transfer(again)).standing
        assert (standing.duplicate_of, standing.state) == (first.transfer_id, State.COMPLETED)
    known = await transfer_reads.intake(ann.id, "k", ann.account_id, None)
    assert known.by_key is not None
    assert known.by_key.id == first.transfer_id
    assert again.repeats_request(known.by_key)
    assert await is_refused(book.open_transfer(order(ann.id, ann.account_id, bob.account_id, 250, key="k")))


async def test_an_order_whose_transaction_id_names_another_movement_leaves_its_key_free(
    book: Book, transfer_reads: TransferReads, ann: Holder, bob: Holder
) -> None:
    first, other = deposit(ann, 700, "bank-1"), deposit(ann, 900, "bank-1", key="k")
    await completed(book, first)
    assert (await book.open_transfer(other)).standing.duplicate_of == first.transfer_id
    assert (await transfer_reads.intake(ann.id, "k", ann.account_id, None)).by_key is None
    correct = order(ann.id, ann.account_id, bob.account_id, 250, key="k")
    assert (await book.open_transfer(correct)).standing.duplicate_of is None


async def test_one_of_two_uses_of_a_key_at_once_gets_it(
    book: Book, other_book: Book, account_reads: AccountReads, ann: Holder, bob: Holder
) -> None:
    first = deposit(ann, 700, "bank-1")
    await completed(book, first)
    sent = 0

    async def use_twice(key: str, *, transfer_first: bool) -> int:
        transfer = order(ann.id, ann.account_id, bob.account_id, 10, key=key)
        repeated = deposit(ann, 700, "bank-1", key=key)
        uses = [book.open_transfer(transfer), other_book.write_key(repeated, first.transfer_id)]
        refused = await asyncio.gather(*map(is_refused, uses if transfer_first else reversed(uses)))
        assert sorted(refused) == [False, True]
        is_opened = refused == ([False, True] if transfer_first else [True, False])
        assert await is_refused(other_book.open_transfer(transfer)) != is_opened
        assert await is_refused(book.write_key(repeated, first.transfer_id)) == is_opened
        if is_opened:
            await book.debit(Step(transfer.transfer_id, 1))
            await book.credit(Step(transfer.transfer_id, 1))
        else:
            with pytest.raises(UnknownTransfer):
                await book.debit(Step(transfer.transfer_id, 1))
        return 10 if is_opened else 0

    for number in range(TRIES):
        sent += await use_twice(f"k{number}", transfer_first=number % 2 == 0)
    assert await balances(account_reads, ann, bob) == [10_700 - sent, 100 + sent]


async def test_of_orders_that_race_for_a_transaction_id_the_losers_keys_stay_free(
    book: Book, other_book: Book, account_reads: AccountReads, ann: Holder, bob: Holder
) -> None:
    for number in range(TRIES):
        orders = [deposit(ann, 100 + i, f"bank-{number}", key=f"{number}/{i}") for i in range(3)]
        books = (book, other_book, book)
        opened = await asyncio.gather(*(each.open_transfer(wanted) for each, wanted in zip(books, orders, strict=True)))
        losers = [
            wanted for wanted, answer in zip(orders, opened, strict=True) if answer.standing.duplicate_of is not None
        ]
        assert len(losers) == 2
        for loser in losers:
            correct = order(ann.id, ann.account_id, bob.account_id, 1, key=loser.idempotency_key)
            assert (await other_book.open_transfer(correct)).standing.duplicate_of is None
    assert await balances(account_reads, ann, bob) == [10_000, 100]


def keep(asked: KeyedRequest) -> KeptAnswer:
    return KeptAnswer(asked.request, status=201, body="{}")


async def test_a_transfer_waits_for_another_request_with_its_key_and_is_not_opened(
    book: Book, database: Database, account_reads: AccountReads, ann: Holder, bob: Holder
) -> None:
    transfer = order(ann.id, ann.account_id, bob.account_id, 250, key="k")
    asked = KeyedRequest(ann.id, "k", "0" * 64)
    async with database.transaction() as connection:
        await keep_answer(connection, asked, keep(asked))
        opening = asyncio.create_task(is_refused(book.open_transfer(transfer)))
        await asyncio.wait([opening], timeout=0.2)
    assert await opening
    assert await is_refused(book.open_transfer(transfer))
    first = deposit(ann, 700, "bank-1")
    await completed(book, first)
    assert await is_refused(book.open_transfer(deposit(ann, 700, "bank-1", key="k")))
    assert await is_refused(book.write_key(deposit(ann, 700, "bank-1", key="k"), first.transfer_id))
    with pytest.raises(UnknownTransfer):
        await book.debit(Step(transfer.transfer_id, 1))


async def test_a_request_whose_key_opened_a_transfer_keeps_no_answer(
    book: Book, database: Database, ann: Holder, bob: Holder
) -> None:
    await book.open_transfer(order(ann.id, ann.account_id, bob.account_id, 250, key="k"))
    asked = KeyedRequest(ann.id, "k", "0" * 64)
    with pytest.raises(KeyTaken):
        async with database.transaction() as connection:
            await keep_answer(connection, asked, keep(asked))


async def test_the_transfer_of_a_key_cannot_be_changed(book: Book, owner: Connection, ann: Holder) -> None:
    await book.open_transfer(deposit(ann, 700, "bank-1"))
    for statement in (
        "UPDATE keys SET transfer_id = 'trf_' || repeat('a', 26)",
        "DELETE FROM keys",
        "TRUNCATE keys",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="keys is append-only"):
            await owner.execute(statement)
