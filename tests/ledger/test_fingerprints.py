"""An order moves money only if somebody with a key made it, and only as it was made."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.fingerprints import FingerprintKeyMissing, Fingerprints, TransferAltered
from ledger.ids import WORLD, CustomerId, TransferId, new_account_id
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import Broken, audit
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import TransferReads
from ledger.refusals import OrderForged, UnknownTransfer
from ledger.transfers import Ending, Kind, State, Step, TransferOrder
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.orders import (
    ENCRYPTION,
    FINGERPRINT_KEY,
    FINGERPRINTS,
    NEXT_FINGERPRINT_KEY,
    Holder,
    changed,
    completed,
    funded,
    holder,
    later_attempt,
    order,
)

OTHER_ID = TransferId("trf_" + "a" * 26)

# Every field that was asked for, with another value.
OTHERS: dict[str, Any] = {
    "transfer_id": OTHER_ID,
    "owner_id": CustomerId("cus_" + "a" * 26),
    "idempotency_key": "another",
    "kind": Kind.DEPOSIT,
    "source_account_id": WORLD,
    "destination_account_id": WORLD,
    "amount_minor": 1,
    "currency": "EUR",
    "note": "another",
    "transaction_id": "another",
    "reverses_transfer_id": OTHER_ID,
    "all_that_is_left": True,
    "metadata": {"invoice": "4711"},
}

# What an editor of the row would change, in SQL.
EDITS = {
    "owner_id": "(SELECT id FROM customers WHERE id <> owner_id LIMIT 1)",
    "idempotency_key": "'another'",
    "source_account_id": "'world'",
    "destination_account_id": "'world'",
    "amount_minor": "1",
    "currency": "'EUR'",
    "note": "'another'",
    "transaction_id": "'another'",
    "all_that_is_left": "true",
    "metadata": """'{"invoice": "4711"}'""",
    "fingerprint": "'00000000.' || repeat('0', 64)",
}


@pytest.fixture
async def ann(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 1_000)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
def wanted(ann: Holder, bob: Holder) -> TransferOrder:
    return order(ann.id, ann.account_id, bob.account_id, 100, key="k")


@pytest.fixture
async def editor(owner: Connection) -> Connection:
    """Somebody who may switch the triggers off."""
    await owner.execute("SET session_replication_role = replica")
    return owner


def with_keys(database: Database, *keys: str, retired: tuple[str, ...] = ()) -> Book:
    """The book of a process with these keys."""
    return Book(database, Fingerprints(keys, retired), record_reversal)


async def balances(account_reads: AccountReads, *holders: Holder) -> list[int]:
    accounts = [await account_reads.find(each.account_id) for each in holders]
    return [account.balance_minor for account in accounts if account is not None]


@pytest.mark.parametrize("field", OTHERS)
def test_a_fingerprint_covers_every_field_that_was_asked_for(field: str) -> None:
    wanted = order(CustomerId("cus_" + "b" * 26), new_account_id(), new_account_id(), 100)
    FINGERPRINTS.check(wanted)
    with pytest.raises(OrderForged):
        FINGERPRINTS.check(replace(wanted, **{field: OTHERS[field]}))


def test_a_fingerprint_names_its_key_and_not_the_secret() -> None:
    wanted = order(CustomerId("cus_" + "b" * 26), new_account_id(), new_account_id(), 100)
    key_id, _, digest = wanted.fingerprint.partition(".")
    assert (len(key_id), len(digest)) == (8, 64)
    assert Fingerprints([NEXT_FINGERPRINT_KEY]).signed(wanted).fingerprint.partition(".")[0] != key_id
    with pytest.raises(FingerprintKeyMissing) as missing:
        Fingerprints([NEXT_FINGERPRINT_KEY]).check(wanted)
    assert FINGERPRINT_KEY not in str(missing.value)


@pytest.mark.parametrize(
    "keys", [[], ["too short"], [NEXT_FINGERPRINT_KEY, NEXT_FINGERPRINT_KEY], [NEXT_FINGERPRINT_KEY, ""]], ids=len
)
def test_a_fingerprint_key_that_is_missing_short_or_given_twice_is_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key"):
        Fingerprints(keys)


async def test_an_order_that_the_api_did_not_make_opens_nothing(
    book: Book, account_reads: AccountReads, ann: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    for forged in (
        replace(wanted, destination_account_id=ann.account_id),
        replace(wanted, amount_minor=1_000),
        replace(wanted, fingerprint=f"{wanted.fingerprint[:9]}{'0' * 64}"),
        replace(wanted, fingerprint=hashlib.sha256(b"an order").hexdigest()),
        replace(wanted, fingerprint=""),
    ):
        with pytest.raises(OrderForged):
            await book.open_transfer(forged)
    with pytest.raises(UnknownTransfer):
        await book.debit(Step(wanted.transfer_id, 1))
    assert await balances(account_reads, ann, bob) == [1_000, 0]


async def test_another_attempt_begins_only_if_the_api_was_asked_for_it(
    book: Book, transfer_reads: TransferReads, ann: Holder, wanted: TransferOrder
) -> None:
    await book.open_transfer(wanted)
    await book.end(Ending(Step(wanted.transfer_id, 1)), State.FAILED)
    second = later_attempt(wanted, 2)
    for forged in (replace(second, attempt_fingerprint=None), replace(second, attempt_fingerprint=wanted.fingerprint)):
        with pytest.raises(OrderForged):
            await book.open_transfer(forged)
    assert (await book.open_transfer(second)).standing.attempt == 2
    await book.end(Ending(Step(wanted.transfer_id, 2)), State.FAILED)
    with pytest.raises(OrderForged):
        await book.open_transfer(replace(second, attempt=3))
    found = await transfer_reads.visible(ann.id, wanted.transfer_id)
    assert found is not None
    assert found.attempt == 2


@pytest.mark.parametrize("field", ["source_account_id", "destination_account_id", "amount_minor"])
async def test_an_amount_redirected_in_transit_moves_no_further_until_its_row_is_restored(
    book: Book,
    database: Database,
    account_reads: AccountReads,
    editor: Connection,
    ann: Holder,
    bob: Holder,
    wanted: TransferOrder,
    field: str,
) -> None:
    thief = await holder(Customers(database, encryption=ENCRYPTION))
    await book.open_transfer(wanted)
    await book.debit(Step(wanted.transfer_id, 1))
    other = 99 if field == "amount_minor" else thief.account_id
    await editor.execute(f"UPDATE transfers SET {field} = $2 WHERE id = $1", wanted.transfer_id, other)
    elsewhere = with_keys(database, FINGERPRINT_KEY)
    for step in (
        elsewhere.credit(Step(wanted.transfer_id, 1)),
        elsewhere.refund(Ending(Step(wanted.transfer_id, 1))),
    ):
        with pytest.raises(TransferAltered):
            await step
    assert await balances(account_reads, ann, bob, thief) == [900, 0, 0]
    found = await audit(database, FINGERPRINTS)
    assert "order_as_accepted" in {broken.invariant for broken in found.broken}
    true = {"amount_minor": 100, "source_account_id": ann.account_id, "destination_account_id": bob.account_id}[field]
    await editor.execute(f"UPDATE transfers SET {field} = $2 WHERE id = $1", wanted.transfer_id, true)
    assert (await elsewhere.credit(Step(wanted.transfer_id, 1))).state is State.COMPLETED
    assert await balances(account_reads, ann, bob, thief) == [900, 100, 0]


async def test_an_amount_redirected_while_its_row_is_cached_goes_where_it_was_sent(
    book: Book, account_reads: AccountReads, editor: Connection, ann: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    await book.open_transfer(wanted)
    await book.debit(Step(wanted.transfer_id, 1))
    redirect = "UPDATE transfers SET destination_account_id = $2 WHERE id = $1"
    await editor.execute(redirect, wanted.transfer_id, ann.account_id)
    await book.credit(Step(wanted.transfer_id, 1))
    assert await balances(account_reads, ann, bob) == [900, 100]
    await editor.execute(redirect, wanted.transfer_id, bob.account_id)


@pytest.mark.parametrize("field", EDITS)
@pytest.mark.breaks_the_books
async def test_the_audit_finds_every_edit_of_an_order(
    book: Book, database: Database, editor: Connection, wanted: TransferOrder, field: str
) -> None:
    await completed(book, wanted)
    assert (await audit(database, FINGERPRINTS)).clean
    await editor.execute(f"UPDATE transfers SET {field} = {EDITS[field]} WHERE id = $1", wanted.transfer_id)
    found = (await audit(database, FINGERPRINTS)).broken
    assert [broken.subject for broken in found if broken.invariant == "order_as_accepted"] == [wanted.transfer_id]
    assert not (await audit(database)).fingerprints_checked


@pytest.mark.breaks_the_books
async def test_the_audit_finds_a_transfer_whose_owner_does_not_own_its_source(
    book: Book, database: Database, ann: Holder, bob: Holder
) -> None:
    """As a defect of the API would make it: signed, and from an account of somebody else."""
    stolen = await completed(book, order(bob.id, ann.account_id, bob.account_id, 100))
    made = (await audit(database, FINGERPRINTS)).broken
    assert [(broken.invariant, broken.subject) for broken in made] == [("owner_owns_source", stolen.transfer_id)]
    assert isinstance(made[0], Broken)


async def test_orders_of_the_former_key_open_go_on_and_are_repeated_after_a_rotation(
    book: Book, database: Database, ann: Holder, wanted: TransferOrder
) -> None:
    await book.open_transfer(wanted)
    rotated = with_keys(database, NEXT_FINGERPRINT_KEY, FINGERPRINT_KEY)
    resigned = rotated.fingerprints.signed(wanted)
    assert resigned.fingerprint != wanted.fingerprint
    assert (await rotated.open_transfer(resigned)).standing.state is State.INITIATED
    await completed(rotated, wanted)
    late = order(ann.id, ann.account_id, WORLD, 10)
    await completed(rotated, late)
    alone = with_keys(database, NEXT_FINGERPRINT_KEY)
    assert (await alone.open_transfer(alone.fingerprints.signed(wanted))).standing.state is State.COMPLETED


async def test_a_retired_key_opens_nothing_and_what_it_opened_goes_on(
    book: Book, database: Database, account_reads: AccountReads, ann: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    await book.open_transfer(wanted)
    rotated = with_keys(database, NEXT_FINGERPRINT_KEY, retired=(FINGERPRINT_KEY,))
    with pytest.raises(OrderForged):
        await rotated.open_transfer(changed(wanted, idempotency_key="leaked", transfer_id=OTHER_ID))
    await completed(rotated, wanted)
    assert await balances(account_reads, ann, bob) == [900, 100]
    assert (await audit(database, rotated.fingerprints)).clean


async def test_a_step_waits_for_a_key_that_its_process_does_not_have(
    book: Book, database: Database, wanted: TransferOrder
) -> None:
    await book.open_transfer(wanted)
    await book.debit(Step(wanted.transfer_id, 1))
    unaware = with_keys(database, NEXT_FINGERPRINT_KEY)
    with pytest.raises(FingerprintKeyMissing, match="REMIT_FINGERPRINT_KEYS"):
        await unaware.credit(Step(wanted.transfer_id, 1))
    with pytest.raises(FingerprintKeyMissing):
        await unaware.open_transfer(wanted)
    await book.credit(Step(wanted.transfer_id, 1))
