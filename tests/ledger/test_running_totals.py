"""The running totals: counted once for what is settled, added up for what is newer, and never in a step's way."""

import asyncio
from datetime import datetime, timedelta

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.audit import audit, totals
from ledger.postgres.book import Book
from ledger.postgres.proof.running_totals import settle_totals
from ledger.postgres.row_cache import CachedRow
from ledger.transfers import Step
from tests.connections import Connection
from tests.ledger.scene import scene
from tests.orders import completed, deposited, funded, holder, order

# As if the time that rows need to settle were over.
ALL_IS_SETTLED = "UPDATE totals_position SET settled_until = clock_timestamp()"

SETTLED = "SELECT coalesce(sum(entries), 0)::int FROM settled_totals"


async def settle(owner: Connection, database: Database) -> None:
    await owner.execute(ALL_IS_SETTLED)
    await settle_totals(database)


async def test_the_totals_are_the_same_however_much_of_them_is_settled(
    database: Database, owner: Connection, customers: Customers, book: Book
) -> None:
    names = await scene(database, owner)
    before = await totals(database)
    assert before == (await audit(database)).totals
    assert await owner.fetchval(SETTLED) == 0
    await settle(owner, database)
    assert await owner.fetchval(SETTLED) == before[0].entries
    assert await totals(database) == before
    alice = await owner.fetchrow("SELECT owner_id, id FROM accounts WHERE id = $1", names["alice"])
    assert alice is not None
    await deposited(book, alice["owner_id"], alice["id"], 700)
    await funded(customers, book, 5, "EUR")
    after = await totals(database)
    assert after == (await audit(database, full=True)).totals
    assert [(one.currency, one.world_minor) for one in after] == [("EUR", -5), ("USD", before[0].world_minor - 700)]
    await settle(owner, database)
    assert await totals(database) == after


async def test_nothing_settles_before_the_transactions_that_were_open_have_ended(
    database: Database, owner: Connection, customers: Customers, book: Book
) -> None:
    ada = await funded(customers, book, 1_000)
    late = order(ada.id, ada.account_id, (await holder(customers)).account_id, 10)
    await settle_totals(database)  # notes a candidate
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_current_xact_id()")
        await owner.execute(
            "UPDATE totals_position SET candidate_until = clock_timestamp() + interval '1 minute', "
            "candidate_xid = pg_current_xact_id()::text::bigint"
        )
        await settle_totals(database)
        assert await owner.fetchval("SELECT settled_until < clock_timestamp() FROM totals_position")
        await completed(book, late)
    await settle_totals(database)
    assert await owner.fetchval("SELECT counted_until > clock_timestamp() FROM totals_position")
    found = await owner.fetchrow("SELECT entries, customers_minor FROM settled_totals")
    assert found is not None
    assert tuple(found) == (3, 1_000)


async def test_books_that_were_restored_into_another_server_settle_again(database: Database, owner: Connection) -> None:
    far = 2**60
    await owner.execute(
        "UPDATE totals_position SET candidate_until = clock_timestamp() - interval '1 year', candidate_xid = $1", far
    )
    await settle_totals(database)
    assert await owner.fetchval("SELECT candidate_xid < $1 FROM totals_position", far)
    await settle_totals(database)
    assert await owner.fetchval("SELECT settled_until > now() - interval '1 hour' FROM totals_position")


async def test_steps_move_money_while_the_running_totals_are_locked(
    database: Database, owner: Connection, customers: Customers, book: Book
) -> None:
    async with owner.transaction():
        await owner.execute("LOCK TABLE settled_totals, settled_transfers, totals_position IN ACCESS EXCLUSIVE MODE")
        ada, ben = await funded(customers, book, 1_000), await holder(customers)
        await completed(book, order(ada.id, ada.account_id, ben.account_id, 10))


async def test_only_one_process_counts_at_a_time(database: Database, owner: Connection) -> None:
    async with owner.transaction():
        await owner.fetch("SELECT * FROM totals_position FOR UPDATE")
        await asyncio.wait_for(settle_totals(database), timeout=1)


async def test_a_step_of_a_process_that_stood_still_records_the_present_time(
    owner: Connection, customers: Customers, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = await funded(customers, book, 1_000), await holder(customers)
    wanted = order(ada.id, ada.account_id, ben.account_id, 10)
    await book.open_transfer(wanted)

    def as_it_was(row: CachedRow[object]) -> datetime:
        return row.as_of - timedelta(minutes=2)

    monkeypatch.setattr(CachedRow, "now", property(as_it_was))
    await book.debit(Step(wanted.transfer_id, 1, ada.account_id))
    age = "SELECT clock_timestamp() - recorded_at FROM postings WHERE transfer_id = $1"
    assert await owner.fetchval(age, wanted.transfer_id) < timedelta(seconds=30)
