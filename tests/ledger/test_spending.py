"""Limits as the book applies them: under the account's row lock, with counters that change with the balance."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import Account
from ledger.ids import WORLD, AccountId
from ledger.limits.tier_limits import LimitTable
from ledger.postgres.account_queue import AccountBusy
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.postgres.locks import lock_account
from ledger.postgres.proof.rebuild import rebuild
from ledger.refusals import BalanceLimitExceeded, LimitExceeded, Refusal
from ledger.transfers import Ending, Standing, State, Step, TransferOrder
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.ledger.test_running_totals import settle
from tests.orders import FINGERPRINTS, Holder, completed, deposited, funded, holder, later_attempt, order, reversal

LIMITS: dict[str, int | None] = {
    "one_transaction": 50,
    "daily_total": 100,
    "monthly_total": 150,
    "highest_balance": 300,
}


@pytest.fixture
def limited(database: Database) -> Book:
    return Book(database, FINGERPRINTS, record_reversal, limits=LimitTable({"USD": {"1": LIMITS}}))


@pytest.fixture
async def ada(customers: Customers, limited: Book) -> Holder:
    """With 300 dollars, as much as she may hold."""
    return await funded(customers, limited, 30_000)


@pytest.fixture
async def ben(customers: Customers) -> Holder:
    return await holder(customers)


async def opened(book: Book, source: Holder, destination: AccountId, amount_minor: int) -> TransferOrder:
    wanted = order(source.id, source.account_id, destination, amount_minor)
    await book.open_transfer(wanted)
    return wanted


async def sent(book: Book, source: Holder, destination: AccountId, amount_minor: int) -> Standing:
    wanted = await opened(book, source, destination, amount_minor)
    return await book.debit(Step(wanted.transfer_id, 1, source.account_id))


async def refusal_of(book: Book, source: Holder, destination: AccountId, amount_minor: int) -> str:
    """The refusal of a debit, which was foreseen when the transfer was opened."""
    wanted = order(source.id, source.account_id, destination, amount_minor)
    foreseen = (await book.open_transfer(wanted)).objection
    with pytest.raises(Refusal) as refused:
        await book.debit(Step(wanted.transfer_id, 1, source.account_id))
    assert foreseen == refused.value.failure
    assert refused.value.code == "limit_exceeded"
    return str(refused.value)


async def read(reads: AccountReads, who: Holder) -> Account:
    found = await reads.find(who.account_id)
    assert found is not None
    return found


async def counters(reads: AccountReads, who: Holder) -> tuple[int, int]:
    spending = (await read(reads, who)).spending
    return spending.day_minor, spending.month_minor


async def test_each_limit_of_the_sender_refuses_what_is_above_it_and_says_what_is_left(
    limited: Book, ada: Holder, ben: Holder, owner: Connection
) -> None:
    assert await refusal_of(limited, ada, ben.account_id, 5_001) == "The limit for one transaction is $50.00."
    assert (await sent(limited, ada, ben.account_id, 5_000)).state is State.DEBITED
    assert (await sent(limited, ada, WORLD, 3_000)).state is State.DEBITED
    resets = await owner.fetchval("SELECT to_char((now() AT TIME ZONE 'UTC')::date + 1, 'YYYY-MM-DD') || ' 00:00 UTC.'")
    said = await refusal_of(limited, ada, ben.account_id, 2_001)
    assert said == f"The source account may send $100.00 a day: $20.00 is left until {resets}"
    assert (await sent(limited, ada, ben.account_id, 2_000)).state is State.DEBITED


@pytest.mark.breaks_the_books
async def test_a_new_day_begins_with_its_whole_total_and_the_month_goes_on(
    limited: Book, ada: Holder, ben: Holder, owner: Connection, account_reads: AccountReads
) -> None:
    for _ in range(2):
        await sent(limited, ada, ben.account_id, 5_000)
    # As if all of it had been yesterday, which is in the same month for the row.
    today = await owner.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    await owner.execute("UPDATE accounts SET spent_on = $2 WHERE id = $1", ada.account_id, today.replace(day=1))
    if today.day > 1:
        assert (await sent(limited, ada, ben.account_id, 5_000)).state is State.DEBITED
        assert await counters(account_reads, ada) == (5_000, 15_000)
        assert "a month: $0.00 is left" in await refusal_of(limited, ada, ben.account_id, 1)
    await owner.execute("UPDATE accounts SET spent_on = '2026-01-31' WHERE id = $1", ada.account_id)
    assert (await sent(limited, ada, ben.account_id, 5_000)).state is State.DEBITED
    assert await counters(account_reads, ada) == (5_000, 5_000)


async def test_a_refund_gives_back_what_its_debit_took_of_the_totals_and_once(
    limited: Book, ada: Holder, ben: Holder, account_reads: AccountReads
) -> None:
    first, second = [await opened(limited, ada, ben.account_id, 5_000) for _ in range(2)]
    for wanted in (first, second):
        for _ in range(2):  # a repeated step counts once
            await limited.debit(Step(wanted.transfer_id, 1))
    assert await counters(account_reads, ada) == (10_000, 10_000)
    for _ in range(2):
        await limited.refund(Ending(Step(first.transfer_id, 1)))
    assert await counters(account_reads, ada) == (5_000, 5_000)
    # Its next attempt counts anew.
    again = later_attempt(first, 2)
    await limited.open_transfer(again)
    assert (await limited.debit(Step(again.transfer_id, 2))).state is State.DEBITED
    assert await counters(account_reads, ada) == (10_000, 10_000)


async def test_a_refund_after_a_lost_answer_or_by_another_process_counts_the_same(
    limited: Book, database: Database, ada: Holder, ben: Holder, account_reads: AccountReads
) -> None:
    wanted = await opened(limited, ada, ben.account_id, 5_000)
    await limited.debit(Step(wanted.transfer_id, 1))
    other = Book(database, FINGERPRINTS, record_reversal)  # with nothing cached
    await other.refund(Ending(Step(wanted.transfer_id, 1)))
    await limited.refund(Ending(Step(wanted.transfer_id, 1)))
    assert await counters(account_reads, ada) == (0, 0)


async def test_a_reversal_is_neither_limited_nor_counted(
    limited: Book, customers: Customers, ada: Holder, ben: Holder, account_reads: AccountReads
) -> None:
    paid = [await completed(limited, order(ada.id, ada.account_id, ben.account_id, 5_000)) for _ in range(2)]
    await deposited(limited, ada.id, ada.account_id, 10_000)  # full again
    for _ in range(2):
        await sent(limited, ben, WORLD, 4_000)
    await deposited(limited, ben.id, ben.account_id, 8_000)
    for original in paid:
        await completed(limited, reversal(original, ben.id, 5_000, note="Wrong goods"))
    assert await counters(account_reads, ben) == (8_000, 8_000)
    # What is brought back is never refused for the size of the balance. What was sent stays counted.
    assert (await read(account_reads, ada)).balance_minor == 40_000
    assert await counters(account_reads, ada) == (10_000, 10_000)


async def test_a_deposit_above_the_highest_balance_is_refused_and_tells_its_owner_what_fits(
    limited: Book, customers: Customers
) -> None:
    ada = await funded(customers, limited, 29_000)
    deposit = order(ada.id, WORLD, ada.account_id, 1_001)
    foreseen = (await limited.open_transfer(deposit)).objection
    assert foreseen is not None
    assert foreseen.code == "balance_limit_exceeded"
    assert foreseen.message == "The destination account may hold $300.00: $10.00 more fits."
    await deposited(limited, ada.id, ada.account_id, 1_000)


async def test_a_credit_above_the_highest_balance_is_compensated_and_tells_nothing_of_the_payee(
    limited: Book, ada: Holder, customers: Customers, account_reads: AccountReads
) -> None:
    ben = await funded(customers, limited, 26_000)
    # Both fit while neither is credited.
    first, second = [await opened(limited, ada, ben.account_id, 4_000) for _ in range(2)]
    for wanted in (first, second):
        await limited.debit(Step(wanted.transfer_id, 1))
    assert (await limited.credit(Step(first.transfer_id, 1))).state is State.COMPLETED
    with pytest.raises(BalanceLimitExceeded) as refused:
        await limited.credit(Step(second.transfer_id, 1))
    assert str(refused.value) == "The destination account would hold more than it may."
    compensated = await limited.refund(Ending(Step(second.transfer_id, 1), refused.value.failure))
    assert compensated.state is State.COMPENSATED
    assert await counters(account_reads, ada) == (4_000, 4_000)


async def test_the_cap_refuses_deposits_withdrawals_and_transfers_alike(database: Database, ada: Holder) -> None:
    capped = Book(database, FINGERPRINTS, record_reversal, limits=LimitTable(cap_major=10))
    for source, destination in ((WORLD, ada.account_id), (ada.account_id, WORLD)):
        too_much = order(ada.id, source, destination, 1_001)
        foreseen = (await capped.open_transfer(too_much)).objection
        assert foreseen is not None
        assert (foreseen.code, foreseen.message) == ("limit_exceeded", "The limit for one transaction is $10.00.")
        with pytest.raises(LimitExceeded):
            await capped.debit(Step(too_much.transfer_id, 1))


async def test_a_higher_tier_has_its_own_limits_at_once(limited: Book, ada: Holder, owner: Connection) -> None:
    assert "one transaction" in await refusal_of(limited, ada, WORLD, 20_000)
    await owner.execute("UPDATE accounts SET tier = 2 WHERE id = $1", ada.account_id)
    assert (await sent(limited, ada, WORLD, 20_000)).state is State.DEBITED


@pytest.mark.parametrize("processes", [1, 3])
async def test_limits_hold_exactly_under_50_parallel_debits(
    database: Database, limited: Book, ada: Holder, ben: Holder, account_reads: AccountReads, processes: int
) -> None:
    table = LimitTable({"USD": {"1": LIMITS}})
    books = [Book(database, FINGERPRINTS, record_reversal, limits=table) for _ in range(processes)]
    wanted = [order(ada.id, ada.account_id, ben.account_id, 300) for _ in range(50)]
    for number, each in enumerate(wanted):
        await books[number % processes].open_transfer(each)

    async def debited(number: int, each: TransferOrder) -> str:
        while True:
            try:
                return (await books[number % processes].debit(Step(each.transfer_id, 1, ada.account_id))).state
            except LimitExceeded as refusal:
                return refusal.code
            except AccountBusy:  # too many wait for the account: as in doubt as for a worker, which repeats the step
                continue

    found = await asyncio.gather(*(debited(number, each) for number, each in enumerate(wanted)))
    assert (found.count("debited"), found.count("limit_exceeded")) == (33, 17)
    assert await counters(account_reads, ada) == (9_900, 9_900)


async def test_a_balance_stays_at_its_limit_under_50_parallel_credits(
    limited: Book, ben: Holder, account_reads: AccountReads
) -> None:
    wanted = [order(ben.id, WORLD, ben.account_id, 900) for _ in range(50)]
    for each in wanted:
        await limited.open_transfer(each)
        await limited.debit(Step(each.transfer_id, 1))

    async def credited(each: TransferOrder) -> str:
        try:
            return (await limited.credit(Step(each.transfer_id, 1, ben.account_id))).state
        except BalanceLimitExceeded as refusal:
            await limited.refund(Ending(Step(each.transfer_id, 1), refusal.failure))
            return refusal.code

    found = await asyncio.gather(*map(credited, wanted))
    assert (found.count("completed"), found.count("balance_limit_exceeded")) == (33, 17)
    assert (await read(account_reads, ben)).balance_minor == 29_700


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("audited_before", [False, True])
async def test_an_edited_counter_is_found_and_rebuilt(
    limited: Book,
    database: Database,
    ada: Holder,
    ben: Holder,
    owner: Connection,
    account_reads: AccountReads,
    audited_before: bool,
) -> None:
    compensated = await opened(limited, ada, ben.account_id, 1_000)
    await limited.debit(Step(compensated.transfer_id, 1))
    await limited.refund(Ending(Step(compensated.transfer_id, 1)))
    await sent(limited, ada, ben.account_id, 2_000)
    whole = await read(account_reads, ada)
    assert (whole.spent_day_minor, whole.spent_month_minor) == (2_000, 2_000)
    if audited_before:
        await settle(owner, database)
        assert (await audit(database, FINGERPRINTS)).clean
    edits: Sequence[tuple[str, Any]] = [
        ("spent_day_minor", 0),
        ("spent_month_minor", 1_999),
        ("spent_on", None),
    ]
    for column, value in edits:
        await owner.execute(f"UPDATE accounts SET {column} = $2 WHERE id = $1", ada.account_id, value)
        found = (await audit(database, FINGERPRINTS)).broken
        assert [(one.invariant, one.subject) for one in found] == [("spending_is_sum_of_debits", ada.account_id)]
        async with database.transaction() as connection:
            await lock_account(connection, ada.account_id)
            assert await rebuild(connection, ada.account_id) == whole
        assert (await audit(database, FINGERPRINTS)).clean


@pytest.mark.breaks_the_books
async def test_a_cached_row_with_another_counter_writes_nothing(
    limited: Book, ada: Holder, ben: Holder, owner: Connection, account_reads: AccountReads
) -> None:
    await sent(limited, ada, ben.account_id, 1_000)  # now the row is cached
    await owner.execute("UPDATE accounts SET spent_day_minor = 9999 WHERE id = $1", ada.account_id)
    wanted = order(ada.id, ada.account_id, ben.account_id, 2)
    await limited.open_transfer(wanted)
    with pytest.raises(LimitExceeded):
        await limited.debit(Step(wanted.transfer_id, 1))
