"""Steps that are decided on cached rows, which other processes may have changed since."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import AccountStatus, Freeze
from ledger.ids import AccountId, CustomerId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.postgres.row_cache import MOST_ROWS, RowCache
from ledger.refusals import AccountFrozen, IllegalTransition
from ledger.transfers import Ending, State, Step, Transfer, TransferOrder
from staff.postgres.reversal_record import record_reversal
from tests.account_status import set_account_status, set_freeze
from tests.orders import FINGERPRINTS, Holder, funded, holder, order

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SOMEBODY, ONE, OTHER = CustomerId("cus_a"), AccountId("acc_a"), AccountId("acc_b")


@pytest.fixture
async def alice(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 1_000)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
def elsewhere(database: Database) -> Book:
    """The book of another process: each has a row cache of its own."""
    return Book(database, FINGERPRINTS, record_reversal)


async def opened(book: Book, source: Holder, destination: Holder, amount_minor: int) -> Step:
    wanted = order(source.id, source.account_id, destination.account_id, amount_minor)
    await book.open_transfer(wanted)
    return Step(wanted.transfer_id, 1, source.account_id)


async def balance(account_reads: AccountReads, owner: Holder) -> int:
    account = await account_reads.own(owner.id, owner.account_id)
    assert account is not None
    return account.balance_minor


async def test_two_processes_take_turns_on_one_account(
    book: Book, elsewhere: Book, account_reads: AccountReads, database_url: str, alice: Holder, bob: Holder
) -> None:
    for _ in range(5):
        steps = [(each, await opened(each, alice, bob, 100)) for each in (book, elsewhere)]
        for each, step in steps:  # the second one's cached accounts are older than the first one's writes
            await each.debit(step)
        for each, step in reversed(steps):
            await each.credit(step)
    assert (await balance(account_reads, alice), await balance(account_reads, bob)) == (0, 1_000)
    connection = await asyncpg.connect(database_url)
    for owner in (alice, bob):
        times = [
            row["recorded_at"]
            for row in await connection.fetch(
                "SELECT recorded_at FROM entries WHERE account_id = $1 ORDER BY version", owner.account_id
            )
        ]
        assert times == sorted(times)
    now = await connection.fetchval("SELECT clock_timestamp()")
    await connection.close()
    assert now - timedelta(minutes=1) < times[-1] <= now


async def test_an_account_frozen_elsewhere_is_refused_though_it_is_cached_as_active(
    book: Book, elsewhere: Book, alice: Holder, bob: Holder
) -> None:
    step = await opened(book, alice, bob, 100)
    await set_account_status(elsewhere.database, alice.account_id, AccountStatus.FROZEN)
    with pytest.raises(AccountFrozen):
        await book.debit(step)


async def test_a_freeze_that_was_widened_elsewhere_is_refused_though_it_is_cached_as_narrow(
    book: Book, elsewhere: Book, alice: Holder, bob: Holder
) -> None:
    await set_freeze(elsewhere.database, alice.account_id, Freeze.CREDITS)
    step = await opened(book, alice, bob, 100)
    await set_freeze(elsewhere.database, alice.account_id, Freeze.BOTH)
    with pytest.raises(AccountFrozen):
        await book.debit(step)
    await set_freeze(elsewhere.database, alice.account_id, Freeze.CREDITS)
    assert (await book.debit(step)).state is State.DEBITED


async def test_money_that_came_in_elsewhere_counts_though_the_cached_balance_is_too_low(
    book: Book, elsewhere: Book, customers: Customers, alice: Holder, bob: Holder
) -> None:
    step = await opened(book, bob, alice, 50)  # bob has nothing yet
    incoming = await opened(elsewhere, alice, bob, 80)
    await elsewhere.debit(incoming)
    await elsewhere.credit(incoming)
    assert (await book.debit(step)).state is State.DEBITED


async def test_a_transfer_cancelled_elsewhere_is_not_debited_though_it_is_cached_as_open(
    book: Book, elsewhere: Book, alice: Holder, bob: Holder
) -> None:
    step = await opened(book, alice, bob, 100)
    await elsewhere.end(Ending(step), State.CANCELLED)
    with pytest.raises(IllegalTransition):
        await book.debit(step)


async def test_a_refund_elsewhere_comes_before_a_late_credit(
    book: Book, elsewhere: Book, account_reads: AccountReads, alice: Holder, bob: Holder
) -> None:
    step = await opened(book, alice, bob, 100)
    await book.debit(step)
    await elsewhere.refund(Ending(step))
    with pytest.raises(IllegalTransition):
        await book.credit(step)
    assert (await balance(account_reads, alice), await balance(account_reads, bob)) == (1_000, 0)


async def test_a_step_that_two_processes_take_at_once_happens_once(
    book: Book, elsewhere: Book, account_reads: AccountReads, alice: Holder, bob: Holder
) -> None:
    for _ in range(10):
        wanted = order(alice.id, alice.account_id, bob.account_id, 10)
        await asyncio.gather(book.open_transfer(wanted), elsewhere.open_transfer(wanted))
        step = Step(wanted.transfer_id, 1)
        debits = await asyncio.gather(*(each.debit(step) for each in (book, elsewhere, book)))
        handed = await asyncio.gather(*(each.credit(step) for each in (elsewhere, book, elsewhere)))
        assert {standing.state for standing in debits} == {State.DEBITED}
        assert {standing.state for standing in handed} == {State.COMPLETED}
    assert (await balance(account_reads, alice), await balance(account_reads, bob)) == (900, 100)


@pytest.mark.parametrize("forged", ["balance_minor = 1000000", "head_hash = sha256('another past')"])
async def test_a_row_of_another_past_under_the_same_version_is_not_written_to(
    book: Book, account_reads: AccountReads, database_url: str, alice: Holder, bob: Holder, forged: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE before AS SELECT balance_minor, head_hash FROM accounts WHERE false")
    await connection.execute("INSERT INTO before SELECT balance_minor, head_hash FROM accounts WHERE balance_minor > 0")
    await connection.execute(f"UPDATE accounts SET {forged} WHERE id = $1", alice.account_id)
    step = await opened(book, alice, bob, 100)
    await connection.execute(
        "UPDATE accounts a SET balance_minor = b.balance_minor, head_hash = b.head_hash FROM before b WHERE a.id = $1",
        alice.account_id,
    )
    await connection.close()
    await book.debit(step)
    await book.credit(step)
    assert (await balance(account_reads, alice), await balance(account_reads, bob)) == (900, 100)


def test_an_older_row_that_arrives_late_does_not_replace_a_newer_one() -> None:
    cache, wanted = RowCache(), order(SOMEBODY, ONE, OTHER, 1)
    newer, older = changed(wanted, 2), changed(wanted, 1)
    for transfer in (newer, older):
        cache.transfers.remember(transfer.id, transfer, transfer.updated_at)
    cached = cache.transfers.get(wanted.transfer_id)
    assert cached is not None
    assert cached.row == newer


def test_the_cache_drops_its_oldest_rows() -> None:
    cache = RowCache()
    orders = [order(SOMEBODY, ONE, OTHER, 1, key=str(number)) for number in range(MOST_ROWS + 1)]
    for wanted in orders:
        cache.transfers.remember(wanted.transfer_id, changed(wanted, 0), EPOCH)
    assert cache.transfers.get(orders[0].transfer_id) is None
    assert cache.transfers.get(orders[-1].transfer_id) is not None


def changed(wanted: TransferOrder, seconds: int) -> Transfer:
    """The order's transfer, last changed so long after the epoch."""
    return Transfer(wanted, State.INITIATED, None, EPOCH, EPOCH + timedelta(seconds=seconds), None)
