"""All reversals of a transfer together never exceed it, whoever writes them, in whatever order and at once."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import AccountStatus
from ledger.postgres.book import Book
from ledger.refusals import NotReversible, OrderMismatch, UnknownTransfer
from ledger.transfers import Ending, Opened, State, Step, TransferOrder
from staff.permissions import Action
from staff.postgres.actions import ActionSearch, StaffActions
from tests.account_status import set_account_status
from tests.connections import Connection
from tests.orders import Holder, changed, completed, funded, holder, later_attempt, order, reversal


@pytest.fixture
async def payer(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def payee(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def original(book: Book, payer: Holder, payee: Holder) -> TransferOrder:
    """1,000 from payer to payee, completed."""
    return await completed(book, order(payer.id, payer.account_id, payee.account_id, 1_000))


def said(opened: Opened) -> tuple[str, str | None]:
    return opened.standing.state, opened.standing.failure.code if opened.standing.failure else None


REFUSED = ("failed", "limit_exceeded")


async def test_a_reversal_takes_its_part_when_it_is_opened(book: Book, payee: Holder, original: TransferOrder) -> None:
    first, second, third = (reversal(original, payee.id, amount) for amount in (600, 401, 400))
    assert said(await book.open_transfer(first)) == ("initiated", None)
    for _ in range(2):
        assert said(await book.open_transfer(second)) == REFUSED
    assert said(await book.open_transfer(third)) == ("initiated", None)
    assert said(await book.open_transfer(first)) == ("initiated", None)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_reversal_that_ended_without_moving_frees_its_part(
    book: Book, payee: Holder, original: TransferOrder, state: State
) -> None:
    first, second = reversal(original, payee.id, 1_000), reversal(original, payee.id, 1_000)
    await book.open_transfer(first)
    await book.end(Ending(Step(first.transfer_id, 1)), state)
    assert said(await book.open_transfer(second)) == ("initiated", None)


async def test_of_many_opened_at_once_those_that_fit_begin(book: Book, payee: Holder, original: TransferOrder) -> None:
    opened = await asyncio.gather(*(book.open_transfer(reversal(original, payee.id, 300)) for _ in range(20)))
    outcomes = [said(one) for one in opened]
    assert sorted(set(outcomes)) == [REFUSED, ("initiated", None)]
    assert outcomes.count(("initiated", None)) == 3


async def test_one_that_failed_is_asked_again_when_it_is_retried(
    book: Book, payee: Holder, original: TransferOrder
) -> None:
    first, second = reversal(original, payee.id, 700), reversal(original, payee.id, 700)
    await book.open_transfer(first)
    await book.end(Ending(Step(first.transfer_id, 1)), State.FAILED)
    await book.open_transfer(second)
    again = later_attempt(first, 2)
    for _ in range(2):
        opened = await book.open_transfer(again)
        assert (opened.standing.attempt, *said(opened)) == (2, *REFUSED)
    await book.end(Ending(Step(second.transfer_id, 1)), State.CANCELLED)
    opened = await book.open_transfer(later_attempt(first, 3))
    assert (opened.standing.attempt, *said(opened)) == (3, "initiated", None)


async def test_retries_and_new_ones_at_once_never_exceed_the_transfer(
    book: Book, payee: Holder, original: TransferOrder
) -> None:
    ended = [reversal(original, payee.id, 400) for _ in range(5)]
    for one in ended:
        await book.open_transfer(one)
        await book.end(Ending(Step(one.transfer_id, 1)), State.FAILED)
    wanted = [later_attempt(one, 2) for one in ended] + [reversal(original, payee.id, 400) for _ in range(5)]
    opened = await asyncio.gather(*map(book.open_transfer, wanted))
    assert [said(one) for one in opened].count(("initiated", None)) == 2


async def test_only_a_completed_transfer_of_two_customers_is_reversed_and_by_its_mirror(
    book: Book, payer: Holder, payee: Holder, original: TransferOrder
) -> None:
    back = await completed(book, reversal(original, payee.id, 100))
    open_one = order(payer.id, payer.account_id, payee.account_id, 5)
    await book.open_transfer(open_one)
    mirrored = reversal(original, payee.id, 100)
    for wrong in (
        reversal(back, payer.id, 100),
        reversal(open_one, payee.id, 5),
        changed(mirrored, destination_account_id=payee.account_id),
        changed(mirrored, currency="EUR"),
    ):
        with pytest.raises(NotReversible):
            await book.open_transfer(wrong)
    with pytest.raises(UnknownTransfer):
        await book.open_transfer(reversal(replace(original, transfer_id=mirrored.transfer_id), payee.id, 100))


async def test_a_key_that_named_another_reversal_is_refused(book: Book, payee: Holder, original: TransferOrder) -> None:
    first = reversal(original, payee.id, 100)
    await book.open_transfer(first)
    with pytest.raises(OrderMismatch):
        await book.open_transfer(changed(first, amount_minor=200))


async def test_a_reversal_by_staff_is_recorded_with_its_row_and_once(
    database: Database, book: Book, customers: Customers, payee: Holder, original: TransferOrder
) -> None:
    staff = await holder(customers)
    by_staff = reversal(original, staff.id, 100, note="Court order 7")
    for _ in range(2):
        await book.open_transfer(by_staff)
    await book.open_transfer(reversal(original, payee.id, 100))
    with pytest.raises(NotReversible):
        await book.open_transfer(reversal(original, staff.id, 100))
    actions = (await StaffActions(database).find(ActionSearch(subject=original.transfer_id), 10)).items
    assert [(a.actor_id, a.action, a.reason) for a in actions] == [(staff.id, Action.REVERSE_TRANSFER, "Court order 7")]


async def test_a_reversal_by_staff_is_recorded_also_where_a_later_attempt_opens_it(
    database: Database, book: Book, customers: Customers, original: TransferOrder
) -> None:
    staff = await holder(customers)
    for amount_minor, state in ((100, State.INITIATED), (original.amount_minor + 1, State.FAILED)):
        by_staff = reversal(original, staff.id, amount_minor, note="Court order 7")
        opened = await book.open_transfer(later_attempt(by_staff, 2))  # the books were restored to a time before it
        assert (opened.standing.attempt, opened.standing.state) == (1, state)
    actions = (await StaffActions(database).find(ActionSearch(subject=original.transfer_id), 10)).items
    assert [a.actor_id for a in actions] == [staff.id, staff.id]


async def test_a_reversal_is_refused_like_any_other_where_its_accounts_do_not_allow_it(
    book: Book, payer: Holder, payee: Holder, original: TransferOrder
) -> None:
    await set_account_status(book.database, payee.account_id, AccountStatus.FROZEN)
    opened = await book.open_transfer(reversal(original, payee.id, 100))
    assert opened.objection is not None
    assert opened.objection.code == "account_frozen"


_INSERT = """
    WITH named AS (
        INSERT INTO keys (owner_id, idempotency_key, transfer_id)
        SELECT owner_id, 'forged', 'trf_' || repeat('a', 26) FROM transfers WHERE id = $1
    )
    INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
        destination_account_id, amount_minor, currency, workflow_id, reverses_transfer_id)
    SELECT 'trf_' || repeat('a', 26), owner_id, 'forged', fingerprint, 'reversal', {source}, {destination}, {amount},
        currency, workflow_id, {of} FROM transfers WHERE id = $1
"""
_HONEST = {"source": "destination_account_id", "destination": "source_account_id", "amount": "1", "of": "id"}


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "1001"},
        {"source": "source_account_id", "destination": "destination_account_id"},
        {"of": "NULL"},
    ],
    ids=str,
)
@pytest.mark.breaks_the_books  # the forged order has the fingerprint of another one
async def test_the_database_refuses_what_the_book_would_never_write(
    owner: Connection, original: TransferOrder, change: dict[str, str]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(_INSERT.format(**(_HONEST | change)), original.transfer_id)
    assert await owner.execute(_INSERT.format(**_HONEST), original.transfer_id) == "INSERT 0 1"


async def test_the_transfer_that_a_reversal_reverses_is_fixed(
    owner: Connection, book: Book, payee: Holder, original: TransferOrder
) -> None:
    made = reversal(original, payee.id, 100)
    await book.open_transfer(made)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute("UPDATE transfers SET reverses_transfer_id = id WHERE id = $1", made.transfer_id)
