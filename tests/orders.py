"""Makes customers, money and orders for tests."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from customers.documents.document import VERIFIED, DocumentType, NewDocument
from customers.postgres import Customers
from database.connections import Database
from database.encryption import Encryption
from ledger.fingerprints import Fingerprints
from ledger.ids import WORLD, AccountId, CustomerId, TransferId, transfer_id_for
from ledger.postgres.book import Book
from ledger.rules import kind_of
from ledger.transfers import UNSIGNED, Kind, Step, TransferOrder
from ledger.workflow_ids import transfer_workflow_id
from staff.permissions import Role
from staff.postgres.owner_grants import OwnerGrants

# The key of every order of the tests, and of every API that they run.
FINGERPRINT_KEY = "a fingerprint key that only the tests use"
FINGERPRINTS = Fingerprints([FINGERPRINT_KEY])

# What a test may rotate it to, and what checks the orders of both.
NEXT_FINGERPRINT_KEY = "another fingerprint key of the tests"
BOTH_FINGERPRINTS = Fingerprints([FINGERPRINT_KEY], retired=[NEXT_FINGERPRINT_KEY])


ENCRYPTION_KEY = "an encryption key that only the tests use"
ENCRYPTION = Encryption([ENCRYPTION_KEY])

# A document that is verified at once.
DOCUMENT = NewDocument(DocumentType.NIN, "12345678901", VERIFIED)


@dataclass(frozen=True)
class Holder:
    """A customer with one account."""

    id: CustomerId
    account_id: AccountId


async def holder(customers: Customers, currency: str = "USD") -> Holder:
    name = secrets.token_hex(8)
    customer, account = await customers.register(f"{name}@example.com", "-", name, DOCUMENT, currency)
    return Holder(customer.id, account.id)


async def staff(database: Database) -> CustomerId:
    """An admin who is no party of any transfer, because they have no account."""
    return (await OwnerGrants(database).create(f"{secrets.token_hex(8)}@example.com", "Olu Ade", "-")).id


async def promoted(database: Database, customer_id: str, role: Role) -> None:
    """Give somebody a role of staff as the owner of the tables, without the four eyes that this takes over HTTP."""
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL ROLE NONE")
        await connection.execute("UPDATE customers SET role = $2 WHERE id = $1", customer_id, role)


async def funded(customers: Customers, book: Book, amount_minor: int, currency: str = "USD") -> Holder:
    """A customer whose account holds the amount, which was deposited."""
    owner = await holder(customers, currency)
    await deposited(book, owner.id, owner.account_id, amount_minor, currency)
    return owner


async def deposited(
    book: Book, owner_id: CustomerId, account_id: AccountId, amount_minor: int, currency: str = "USD"
) -> None:
    """Put a completed deposit into the books by the ledger's steps, without a workflow and without screening."""
    deposit = order(owner_id, WORLD, account_id, amount_minor, currency=currency)
    step = Step(deposit.transfer_id, 1)
    await book.open_transfer(deposit)
    await book.debit(step)
    await book.credit(step)


def order(
    owner_id: CustomerId,
    source: AccountId,
    destination: AccountId,
    amount_minor: int,
    *,
    key: str | None = None,
    currency: str = "USD",
    transaction_id: str | None = None,
    reverses: TransferId | None = None,
    note: str | None = None,
) -> TransferOrder:
    """A signed order, as the API makes it."""
    key = key or secrets.token_hex(8)
    wanted = TransferOrder(
        transfer_id=transfer_id_for(owner_id, key),
        owner_id=owner_id,
        idempotency_key=key,
        fingerprint=UNSIGNED,
        kind=Kind.REVERSAL if reverses else kind_of(source, destination),
        source_account_id=source,
        destination_account_id=destination,
        amount_minor=amount_minor,
        currency=currency,
        workflow_id=transfer_workflow_id(owner_id, key),
        transaction_id=transaction_id,
        reverses_transfer_id=reverses,
        note=note,
    )
    return FINGERPRINTS.signed(wanted)


def changed(wanted: TransferOrder, **changes: Any) -> TransferOrder:
    """The order with other contents, signed anew: another request."""
    return FINGERPRINTS.signed(replace(wanted, **changes))


def later_attempt(wanted: TransferOrder, attempt: int) -> TransferOrder:
    """The same order as the API makes it for a later attempt."""
    workflow_id = transfer_workflow_id(wanted.owner_id, wanted.idempotency_key, attempt)
    return FINGERPRINTS.signed_attempt(replace(wanted, attempt=attempt, workflow_id=workflow_id))


def reversal(
    original: TransferOrder, owner_id: CustomerId, amount_minor: int, note: str | None = None
) -> TransferOrder:
    """The order that reverses this amount of the original."""
    source, destination = original.destination_account_id, original.source_account_id
    return order(owner_id, source, destination, amount_minor, reverses=original.transfer_id, note=note)


async def completed(book: Book, wanted: TransferOrder) -> TransferOrder:
    """Take an order through all its steps."""
    await book.open_transfer(wanted)
    await book.debit(Step(wanted.transfer_id, wanted.attempt))
    await book.credit(Step(wanted.transfer_id, wanted.attempt))
    return wanted
