"""Many transfers in one transaction, over a real PostgreSQL: once or not at all, beside everything else that moves."""

import asyncio
import random
from dataclasses import replace

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database, Unavailable
from ledger.bulk.fold import BulkOutcome
from ledger.fingerprints import Fingerprints
from ledger.ids import AccountId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.postgres.bulk.post import AT_ONCE, post_transfers
from ledger.postgres.transfer_reads import TransferReads
from ledger.refusals import OrderForged
from ledger.transfers import State, Step, TransferOrder
from tests.connections import Connection
from tests.orders import (
    FINGERPRINT_KEY,
    FINGERPRINTS,
    NEXT_FINGERPRINT_KEY,
    Holder,
    completed,
    funded,
    holder,
    order,
)
from tests.waiting import until

# How often this session has read each of these tables from its first row to its last.
WHOLE_READS = """
    SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname IN ('transfers', 'postings', 'entries')
    ORDER BY relname
"""


async def posted(database: Database, orders: list[TransferOrder]) -> list[BulkOutcome]:
    async with database.transaction() as connection:
        return await post_transfers(connection, orders, FINGERPRINTS)


def salaries(payer: Holder, payees: list[AccountId], amount: int = 10) -> list[TransferOrder]:
    return [order(payer.id, payer.account_id, payee, amount) for payee in payees]


async def balances(account_reads: AccountReads, *owners: Holder) -> list[int]:
    accounts = [await account_reads.own(owner.id, owner.account_id) for owner in owners]
    return [account.balance_minor for account in accounts if account]


async def test_a_repeated_bulk_posting_moves_money_once(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    ann, ben = await funded(customers, book, 25), await holder(customers)
    orders = salaries(ann, [ben.account_id] * 3)
    first = await posted(database, orders)
    assert [one.standing.state for one in first if one.standing] == ["completed", "completed", "failed"]
    again = await posted(database, orders)
    assert [one.standing for one in again] == [one.standing for one in first]
    assert [one.is_new for one in first + again] == [True] * 3 + [False] * 3
    assert await balances(account_reads, ann, ben) == [5, 20]


async def test_a_bulk_posting_of_many_statements_reads_no_whole_table_of_transfers(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    ann, ben = await funded(customers, book, 1_000), await holder(customers)
    orders = salaries(ann, [ben.account_id] * (2 * AT_ONCE + 1), amount=1)
    async with database.transaction() as connection:
        before = await connection.fetch(WHOLE_READS)
        found = await post_transfers(connection, orders, FINGERPRINTS)
        assert await connection.fetch(WHOLE_READS) == before
    assert all(one.is_completed_now for one in found)
    assert await balances(account_reads, ann, ben) == [1_000 - len(orders), len(orders)]


async def test_a_bulk_posting_leaves_what_a_single_has_begun(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    ann, ben = await funded(customers, book, 100), await holder(customers)
    begun, *others = salaries(ann, [ben.account_id] * 3)
    await book.open_transfer(begun)
    await book.debit(Step(begun.transfer_id, 1))
    found = await posted(database, [begun, *others])
    assert [one.standing.state for one in found if one.standing] == [State.DEBITED, State.COMPLETED, State.COMPLETED]
    await book.credit(Step(begun.transfer_id, 1))
    assert await balances(account_reads, ann, ben) == [70, 30]


async def test_a_bulk_posting_happens_with_all_that_its_caller_writes_or_not_at_all(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads, transfer_reads: TransferReads
) -> None:
    ann, ben = await funded(customers, book, 100), await holder(customers)
    orders = salaries(ann, [ben.account_id])

    async def with_a_row_that_is_refused() -> None:
        async with database.transaction() as connection:
            await post_transfers(connection, orders, FINGERPRINTS)
            await connection.execute("INSERT INTO keys (owner_id, idempotency_key) VALUES ($1, '')", ann.id)

    with pytest.raises(asyncpg.CheckViolationError):
        await with_a_row_that_is_refused()
    assert await transfer_reads.visible(ann.id, orders[0].transfer_id) is None
    assert await balances(account_reads, ann, ben) == [100, 0]


async def test_a_key_that_a_single_takes_meanwhile_leaves_the_bulk_posting_in_doubt(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads, owner: Connection
) -> None:
    ann, ben = await funded(customers, book, 100), await holder(customers)
    orders = salaries(ann, [ben.account_id] * 2)
    # A single that has taken the key, and commits while the posting waits for it.
    single = owner.transaction()
    await single.start()
    await owner.execute(
        "WITH t AS (INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id, "
        "destination_account_id, amount_minor, currency, workflow_id) "
        "VALUES ($1, $2, $3, $4, 'transfer', $5, $6, 10, 'USD', $7)) "
        "INSERT INTO keys (owner_id, idempotency_key, transfer_id) VALUES ($2, $3, $1)",
        orders[1].transfer_id,
        ann.id,
        orders[1].idempotency_key,
        orders[1].fingerprint,
        ann.account_id,
        ben.account_id,
        orders[1].workflow_id,
    )
    posting = asyncio.create_task(posted(database, orders))

    async def waits() -> bool:
        return bool(await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    await until(waits, "the posting waits for the key")
    await single.commit()
    with pytest.raises(Unavailable):
        await posting
    assert await balances(account_reads, ann, ben) == [100, 0]
    again = await posted(database, orders)
    assert [one.standing.state for one in again if one.standing] == [State.COMPLETED, State.INITIATED]
    await book.debit(Step(orders[1].transfer_id, 1))
    await book.credit(Step(orders[1].transfer_id, 1))


async def test_bulk_postings_that_cross_each_other_and_singles_never_deadlock(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    chance = random.Random(14)
    people = [await funded(customers, book, 10_000) for _ in range(6)]

    def any_order() -> TransferOrder:
        payer, payee = chance.sample(people, 2)
        return order(payer.id, payer.account_id, payee.account_id, chance.randint(1, 20))

    bulk = [posted(database, [any_order() for _ in range(60)]) for _ in range(4)]
    await asyncio.gather(*bulk, *(completed(book, any_order()) for _ in range(30)))
    assert sum(await balances(account_reads, *people)) == 60_000


async def test_an_order_that_the_api_did_not_make_is_left_out_of_a_bulk_posting(
    database: Database, customers: Customers, book: Book, account_reads: AccountReads, transfer_reads: TransferReads
) -> None:
    ann, ben = await funded(customers, book, 100), await holder(customers)
    genuine, forged = salaries(ann, [ben.account_id] * 2)
    found = await posted(database, [replace(forged, amount_minor=90), genuine])
    assert isinstance(found[0].conflict, OrderForged)
    assert await transfer_reads.visible(ann.id, forged.transfer_id) is None
    assert await balances(account_reads, ann, ben) == [90, 10]
    retired = Fingerprints([NEXT_FINGERPRINT_KEY], retired=[FINGERPRINT_KEY])
    async with database.transaction() as connection:
        [again, late] = await post_transfers(connection, [genuine, forged], retired)
    assert again.standing is not None, "a retired key proves what exists"
    assert isinstance(late.conflict, OrderForged), "and opens nothing"


async def test_no_transfer_begins_half_way(customers: Customers, book: Book, database: Database) -> None:
    ann, ben = await funded(customers, book, 100), await holder(customers)
    wanted = order(ann.id, ann.account_id, ben.account_id, 10)
    with pytest.raises(asyncpg.CheckViolationError, match="may not begin as debited"):
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id, "
                "destination_account_id, amount_minor, currency, workflow_id, state) "
                "VALUES ($1, $2, 'k', $3, 'transfer', $4, $5, 10, 'USD', 'w', 'debited')",
                wanted.transfer_id,
                ann.id,
                wanted.fingerprint,
                ann.account_id,
                ben.account_id,
            )
