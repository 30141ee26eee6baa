"""Fundings in the books: recorded with their row or not opened, and found by audits if the record is gone."""

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD, AccountId, CustomerId
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.postgres.proof.rebuild import rebuild
from ledger.refusals import NotFundable
from ledger.transfers import Ending, Failure, Kind, State, Step, TransferOrder
from staff.fundings.postgres import FundingAccounts, record_funding
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.orders import FINGERPRINTS, Holder, changed, funded, holder, order, staff

TRANSFERS = "SELECT count(*)::int FROM transfers"


@pytest.fixture
def funding_book(database: Database) -> Book:
    return Book(database, FINGERPRINTS, record_reversal, record_funding=record_funding)


@pytest.fixture
async def system(database: Database) -> AccountId:
    return await FundingAccounts(database, 1_000).account_id("USD")


def funding(staff_id: CustomerId, system: AccountId, payee: Holder, amount_minor: int) -> TransferOrder:
    wanted = order(staff_id, system, payee.account_id, amount_minor, note="Welcome")
    return changed(wanted, kind=Kind.FUNDING)


async def test_a_book_that_cannot_record_fundings_opens_none(
    book: Book, database: Database, customers: Customers, system: AccountId, owner: Connection
) -> None:
    wanted = funding(await staff(database), system, await holder(customers), 100)
    with pytest.raises(NotFundable):
        await book.open_transfer(wanted)
    assert await owner.fetchval(TRANSFERS) == 0


async def test_a_funding_that_may_not_be_recorded_is_not_opened(
    funding_book: Book, book: Book, database: Database, customers: Customers, system: AccountId, owner: Connection
) -> None:
    admin, ben, eve = await staff(database), await holder(customers), await funded(customers, book, 500)
    right = funding(admin, system, ben, 100)
    before = await owner.fetchval(TRANSFERS)
    for wrong in (
        funding(eve.id, system, ben, 100),  # no staff
        changed(right, note=None),
        changed(right, source_account_id=eve.account_id),
        changed(right, source_account_id=WORLD),
    ):
        with pytest.raises(NotFundable):
            await funding_book.open_transfer(wrong)
    assert await owner.fetchval(TRANSFERS) == before
    await owner.execute("UPDATE customers SET role = 'operator' WHERE id = $1", eve.id)
    with pytest.raises(NotFundable, match="account of their own"):
        await funding_book.open_transfer(funding(eve.id, system, eve, 100))
    await owner.execute("UPDATE customers SET role = 'customer' WHERE id = $1", eve.id)


async def test_a_refused_credit_returns_to_the_funding_account_which_can_be_rebuilt(
    funding_book: Book, database: Database, customers: Customers, system: AccountId, owner: Connection
) -> None:
    admin, ben = await staff(database), await holder(customers)
    for state in (State.COMPENSATED, State.COMPLETED):
        wanted = funding(admin, system, ben, 100)
        step = Step(wanted.transfer_id, 1)
        await funding_book.open_transfer(wanted)
        await funding_book.open_transfer(wanted)  # a repeat is recorded once
        await funding_book.debit(step)
        if state is State.COMPLETED:
            await funding_book.credit(step)
        else:
            await funding_book.refund(Ending(step, Failure("account_frozen", "Frozen.")))
    async with database.transaction() as connection:
        rebuilt = await rebuild(connection, system)
    assert (rebuilt.balance_minor, rebuilt.version) == (-100, 3)
    recorded = "SELECT count(*)::int FROM staff_actions WHERE action = 'fund_account'"
    assert await owner.fetchval(recorded) == 2
    assert (await audit(database, full=True)).clean


@pytest.mark.breaks_the_books
async def test_an_audit_finds_a_funding_without_its_record_and_an_overdraft_of_a_customer(
    funding_book: Book, database: Database, customers: Customers, system: AccountId, owner: Connection
) -> None:
    wanted = funding(await staff(database), system, ben := await holder(customers), 100)
    await funding_book.open_transfer(wanted)
    await funding_book.debit(Step(wanted.transfer_id, 1))
    await funding_book.credit(Step(wanted.transfer_id, 1))
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("DELETE FROM staff_actions")
        await owner.execute("ALTER TABLE accounts DROP CONSTRAINT accounts_balance_minor_check")
        await owner.execute("UPDATE accounts SET balance_minor = -5 WHERE id = $1", ben.account_id)
    found = {(one.invariant, one.subject) for one in (await audit(database, full=True)).broken}
    assert {("owner_owns_source", wanted.transfer_id), ("not_negative", ben.account_id)} <= found


async def test_each_currency_has_one_funding_account_with_the_floor_of_today(
    database: Database, owner: Connection
) -> None:
    first = await FundingAccounts(database, 1_000).account_id("JPY")
    assert await FundingAccounts(database, 2_000).account_id("JPY") == first
    kuwaiti = await FundingAccounts(database, 2_000).account_id("KWD")
    rows = await owner.fetch("SELECT id, overdraft_minor FROM accounts")
    floors = {row["id"]: row["overdraft_minor"] for row in rows}
    assert floors == {first: 2_000, kuwaiti: 2_000_000}
