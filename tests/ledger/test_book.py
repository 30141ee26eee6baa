"""The steps over a real PostgreSQL: what each does, and that nothing makes it happen twice."""

import asyncio

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import AccountStatus, Freeze
from ledger.ids import WORLD, AccountId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import TransferReads
from ledger.refusals import (
    AccountFrozen,
    AccountNotFound,
    IllegalTransition,
    InsufficientFunds,
    OrderMismatch,
    UnknownTransfer,
)
from ledger.transfers import Ending, Failure, Leg, State, Step, TransferOrder
from tests.account_status import set_account_status, set_freeze
from tests.orders import Holder, funded, holder, later_attempt, order

REFUSED = Failure("account_frozen", "Account frozen.")


@pytest.fixture
async def alice(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def opened(book: Book, alice: Holder, bob: Holder) -> TransferOrder:
    """A transfer of 2,500 from alice to bob, opened."""
    wanted = order(alice.id, alice.account_id, bob.account_id, 2_500)
    await book.open_transfer(wanted)
    return wanted


@pytest.fixture
def step(opened: TransferOrder) -> Step:
    return Step(opened.transfer_id, 1)


async def balances(account_reads: AccountReads, *owners: Holder) -> list[int]:
    accounts = [await account_reads.own(owner.id, owner.account_id) for owner in owners]
    return [account.balance_minor for account in accounts if account]


async def test_money_is_in_transit_between_debit_and_credit(
    book: Book, database: Database, account_reads: AccountReads, alice: Holder, bob: Holder, step: Step
) -> None:
    await book.debit(step)
    assert await balances(account_reads, alice, bob) == [7_500, 0]
    assert [(t.customers_minor, t.in_transit_minor, t.world_minor) for t in (await audit(database)).totals] == [
        (7_500, 2_500, -10_000)
    ]
    await book.credit(step)
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_every_step_repeated_moves_money_once(
    book: Book, account_reads: AccountReads, alice: Holder, bob: Holder, opened: TransferOrder, step: Step
) -> None:
    for _ in range(3):
        await book.open_transfer(opened)
        assert (await book.debit(step)).state is State.DEBITED
    for _ in range(3):
        assert (await book.credit(step)).state is State.COMPLETED
        assert (await book.debit(step)).state is State.COMPLETED
        assert (await book.open_transfer(opened)).standing.state is State.COMPLETED
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_twenty_debits_at_once_take_the_amount_once(
    book: Book, account_reads: AccountReads, alice: Holder, step: Step
) -> None:
    standings = await asyncio.gather(*(book.debit(step) for _ in range(20)))
    assert {standing.state for standing in standings} == {State.DEBITED}
    assert await balances(account_reads, alice) == [7_500]


async def test_a_debit_that_arrives_after_its_compensation_is_refused(
    book: Book, account_reads: AccountReads, alice: Holder, step: Step
) -> None:
    assert (await book.refund(Ending(step))).state is State.CANCELLED
    with pytest.raises(IllegalTransition):
        await book.debit(step)
    assert await balances(account_reads, alice) == [10_000]


async def test_a_compensated_transfer_is_never_credited(
    book: Book, account_reads: AccountReads, alice: Holder, bob: Holder, step: Step
) -> None:
    await book.debit(step)
    await book.refund(Ending(step, REFUSED))
    assert (await book.debit(step)).state is State.COMPENSATED
    with pytest.raises(IllegalTransition):
        await book.credit(step)
    assert await balances(account_reads, alice, bob) == [10_000, 0]


async def test_a_completed_transfer_is_never_refunded(book: Book, step: Step) -> None:
    await book.debit(step)
    await book.credit(step)
    with pytest.raises(IllegalTransition):
        await book.refund(Ending(step))


async def test_a_credit_before_its_debit_is_refused(book: Book, step: Step) -> None:
    with pytest.raises(IllegalTransition):
        await book.credit(step)


@pytest.mark.parametrize("end", [State.FAILED, State.CANCELLED])
async def test_a_debited_transfer_can_neither_fail_nor_be_cancelled(book: Book, step: Step, end: State) -> None:
    await book.debit(step)
    with pytest.raises(IllegalTransition):
        await book.end(Ending(step, REFUSED), end)
    await book.credit(step)


async def test_a_step_of_another_attempt_is_refused(book: Book, step: Step) -> None:
    for attempt in (0, 2):
        with pytest.raises(IllegalTransition):
            await book.debit(Step(step.transfer_id, attempt))


async def test_a_step_for_a_transfer_that_was_never_opened_is_refused(book: Book, alice: Holder, bob: Holder) -> None:
    never = order(alice.id, alice.account_id, bob.account_id, 1)
    with pytest.raises(UnknownTransfer):
        await book.debit(Step(never.transfer_id, 1))


async def test_a_debit_without_funds_is_refused_and_changes_nothing(
    book: Book, account_reads: AccountReads, alice: Holder, bob: Holder
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 10_001)
    assert (await book.open_transfer(wanted)).objection == Failure(
        "insufficient_funds", "The source account is short by $0.01.", "source"
    )
    with pytest.raises(InsufficientFunds):
        await book.debit(Step(wanted.transfer_id, 1))
    assert await balances(account_reads, alice) == [10_000]


async def test_a_credit_to_a_frozen_account_is_refused_and_the_refund_tells_why(
    book: Book, account_reads: AccountReads, transfer_reads: TransferReads, alice: Holder, bob: Holder, step: Step
) -> None:
    await book.debit(step)
    await set_account_status(book.database, bob.account_id, AccountStatus.FROZEN)
    with pytest.raises(AccountFrozen) as refusal:
        await book.credit(step)
    await book.refund(Ending(step, refusal.value.failure))
    transfer = await transfer_reads.visible(alice.id, step.transfer_id)
    assert transfer is not None
    assert transfer.failure == refusal.value.failure
    lines = (await account_reads.entries(alice.account_id, below_version=100, limit=50)).items
    assert [(line.leg, line.amount_minor) for line in lines[:2]] == [(Leg.REFUND, 2_500), (Leg.DEBIT, -2_500)]
    assert (await account_reads.entries(bob.account_id, below_version=100, limit=50)).items == []


@pytest.mark.parametrize("status", [AccountStatus.FROZEN, AccountStatus.CLOSED])
async def test_a_refund_reaches_a_frozen_and_a_closed_source(
    book: Book, account_reads: AccountReads, alice: Holder, bob: Holder, status: AccountStatus
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 100)
    await book.open_transfer(wanted)
    await book.debit(Step(wanted.transfer_id, 1))
    await set_account_status(book.database, alice.account_id, status)
    await book.refund(Ending(Step(wanted.transfer_id, 1), REFUSED))
    assert await balances(account_reads, alice) == [10_000]


@pytest.mark.parametrize("frozen", Freeze)
async def test_a_freeze_stops_what_it_says_and_never_a_refund(
    book: Book, account_reads: AccountReads, alice: Holder, bob: Holder, frozen: Freeze
) -> None:
    out = order(alice.id, alice.account_id, bob.account_id, 1_000)
    await book.open_transfer(out)
    await book.debit(Step(out.transfer_id, 1))
    await set_freeze(book.database, alice.account_id, frozen)
    await book.refund(Ending(Step(out.transfer_id, 1), REFUSED))
    assert await balances(account_reads, alice) == [10_000]

    paid, received = (
        order(alice.id, alice.account_id, bob.account_id, 100),
        order(alice.id, WORLD, alice.account_id, 50),
    )
    for wanted, stopped in ((paid, frozen is not Freeze.CREDITS), (received, frozen is not Freeze.DEBITS)):
        foreseen = (await book.open_transfer(wanted)).objection
        assert (foreseen is not None and foreseen.code == "account_frozen") == stopped
        try:
            await book.debit(Step(wanted.transfer_id, 1))
            await book.credit(Step(wanted.transfer_id, 1))
        except AccountFrozen:
            assert stopped
            await book.refund(Ending(Step(wanted.transfer_id, 1), REFUSED))
        else:
            assert not stopped


async def test_freezing_an_account_that_does_not_exist_says_so(book: Book) -> None:
    with pytest.raises(AccountNotFound):
        await set_account_status(book.database, AccountId("acc_none"), AccountStatus.FROZEN)


async def test_a_key_with_another_order_is_refused_and_the_first_stays(
    book: Book, alice: Holder, bob: Holder, opened: TransferOrder
) -> None:
    other = order(alice.id, alice.account_id, bob.account_id, 9_999, key=opened.idempotency_key)
    with pytest.raises(OrderMismatch):
        await book.open_transfer(other)
    assert (await book.open_transfer(opened)).standing.state is State.INITIATED


async def test_a_deposit_with_a_known_transaction_id_is_the_first_one(
    book: Book, account_reads: AccountReads, bob: Holder
) -> None:
    first = order(bob.id, WORLD, bob.account_id, 500, transaction_id="bank-1")
    again = order(bob.id, WORLD, bob.account_id, 500, transaction_id="bank-1")
    opened = await asyncio.gather(book.open_transfer(first), book.open_transfer(again))
    duplicates = [answer.standing for answer in opened if answer.standing.duplicate_of]
    assert len(duplicates) == 1
    with pytest.raises(UnknownTransfer):
        await book.debit(Step(duplicates[0].transfer_id, 1))
    assert duplicates[0].duplicate_of is not None
    step = Step(duplicates[0].duplicate_of, 1)
    await book.debit(step)
    await book.credit(step)
    assert await balances(account_reads, bob) == [500]


async def test_opposite_transfers_at_once_never_deadlock(
    book: Book, database_url: str, account_reads: AccountReads, alice: Holder, bob: Holder, customers: Customers
) -> None:
    bob = await funded(customers, book, 10_000)

    async def move(source: Holder, destination: Holder) -> None:
        wanted = order(source.id, source.account_id, destination.account_id, 10)
        await book.open_transfer(wanted)
        await book.debit(Step(wanted.transfer_id, 1))
        await book.credit(Step(wanted.transfer_id, 1))

    pairs = [(alice, bob), (bob, alice)] * 50
    await asyncio.gather(*(move(source, destination) for source, destination in pairs))
    assert await balances(account_reads, alice, bob) == [10_000, 10_000]
    connection = await asyncpg.connect(database_url)
    deadlocks = await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    await connection.close()
    assert deadlocks == 0


async def test_a_failure_keeps_the_side_that_it_is_about(
    book: Book, transfer_reads: TransferReads, bob: Holder, opened: TransferOrder, step: Step
) -> None:
    failure = AccountFrozen(bob.account_id, "destination").failure
    await book.debit(step)
    await book.refund(Ending(step, failure))
    assert failure.side == "destination"
    assert (await book.open_transfer(opened)).standing.failure == failure
    await book.open_transfer(later_attempt(opened, 2))
    assert [attempt.failure for attempt in await transfer_reads.earlier_attempts(opened.transfer_id)] == [failure]
