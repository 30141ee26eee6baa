"""What verifies a customer opens their accounts, once and for good; numbers are unreadable without the key."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from customers.customer import IdentityMissing
from customers.documents.document import (
    NEEDS_A_PERSON,
    PENDING,
    VERIFIED,
    DocumentDecided,
    DocumentFinding,
    DocumentType,
    DocumentUndecided,
    NewDocument,
    RejectionCode,
    VerificationState,
    VerifiedAlready,
    last_characters,
)
from customers.postgres import Customers
from database.connections import Database
from database.migrations import migrate
from devenv.servers.postgres_server import PostgresServer
from ledger.ids import WORLD, AccountId, CustomerId, DocumentId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.refusals import IdentityNotVerified
from ledger.transfers import State, Step
from onboarding.postgres import Onboarding
from staff.permissions import Action, Actor, ConflictOfInterest, NotAllowed, Role
from staff.postgres.actions import ActionSearch, StaffActions
from tests.conftest import database_named
from tests.connections import Connection
from tests.orders import ENCRYPTION, Holder, deposited, order, staff

NUMBER = "98765432101"
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
REJECTED = DocumentFinding(VerificationState.REJECTED, RejectionCode.NUMBER_UNKNOWN)


@pytest.fixture
def onboarding(database: Database) -> Onboarding:
    return Onboarding(database, ENCRYPTION)


async def registered(customers: Customers, finding: DocumentFinding = PENDING) -> Holder:
    document = NewDocument(DocumentType.NIN, NUMBER, finding)
    name = secrets.token_hex(8)
    customer, account = await customers.register(f"{name}@example.com", "-", "Ada Obi", document, "USD")
    return Holder(customer.id, account.id)


async def document_of(onboarding: Onboarding, customer_id: CustomerId) -> DocumentId:
    return (await onboarding.progress(customer_id)).document_id


async def may_send(reads: AccountReads, account_id: AccountId) -> bool:
    found = await reads.find(account_id)
    assert found is not None
    return found.owner_verified


async def notified(owner: Connection, customer_id: CustomerId) -> int:
    return int(await owner.fetchval("SELECT count(*) FROM notifications WHERE customer_id = $1", customer_id))


async def test_money_of_an_unverified_customer_comes_in_and_leaves_after_the_verification(
    customers: Customers, book: Book, onboarding: Onboarding
) -> None:
    ada = await registered(customers)
    await deposited(book, ada.id, ada.account_id, 1_000)
    wanted = order(ada.id, ada.account_id, WORLD, 400)
    opened = await book.open_transfer(wanted)
    assert opened.objection is not None
    assert opened.objection.code == "identity_not_verified"
    with pytest.raises(IdentityNotVerified):
        await book.debit(Step(wanted.transfer_id, 1))
    await onboarding.record(await document_of(onboarding, ada.id), VERIFIED)
    # The same process, which has the account of before in its cache.
    assert (await book.debit(Step(wanted.transfer_id, 1))).state is State.DEBITED
    assert (await book.credit(Step(wanted.transfer_id, 1))).state is State.COMPLETED


async def test_a_verification_opens_all_accounts_and_welcomes_the_customer_once(
    customers: Customers, onboarding: Onboarding, account_reads: AccountReads, owner: Connection
) -> None:
    ada = await registered(customers)
    second = await customers.open_account(ada.id, "EUR")
    assert not second.owner_verified
    assert await notified(owner, ada.id) == 0
    document = await document_of(onboarding, ada.id)
    await asyncio.gather(*(onboarding.record(document, VERIFIED) for _ in range(5)))
    assert [one.owner_verified for one in await account_reads.all_of(ada.id)] == [True, True]
    assert (await customers.open_account(ada.id, "JPY")).owner_verified
    assert await notified(owner, ada.id) == 1


async def test_a_customer_who_is_known_at_once_is_verified_by_their_registration(
    customers: Customers, account_reads: AccountReads, owner: Connection
) -> None:
    ada = await registered(customers, VERIFIED)
    assert await may_send(account_reads, ada.account_id)
    assert await notified(owner, ada.id) == 1


async def test_an_account_that_is_opened_during_the_verification_is_not_left_closed(
    customers: Customers, onboarding: Onboarding, account_reads: AccountReads, owner: Connection
) -> None:
    for currency in ("EUR", "GBP", "JPY", "INR", "KWD"):
        ada = await registered(customers)
        document = await document_of(onboarding, ada.id)
        holds = owner.transaction()
        await holds.start()
        await owner.execute("SELECT FROM customers WHERE id = $1 FOR NO KEY UPDATE", ada.id)
        both = asyncio.gather(onboarding.record(document, VERIFIED), customers.open_account(ada.id, currency))
        await asyncio.sleep(0)
        await holds.rollback()
        await both
        assert [one.owner_verified for one in await account_reads.all_of(ada.id)] == [True, True]


async def test_the_database_lets_no_account_send_for_a_customer_who_is_not_verified(
    customers: Customers, owner: Connection
) -> None:
    ada, ben = await registered(customers), await registered(customers, VERIFIED)
    change = "UPDATE accounts SET owner_verified = $2 WHERE owner_id = $1"
    for customer, value in ((ada, True), (ben, False)):
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(change, customer.id, value)
    await owner.execute(
        "INSERT INTO accounts (id, owner_id, currency, head_hash, owner_verified) VALUES ($1, $2, 'EUR', $3, true)",
        "acc_" + "a" * 26,
        ada.id,
        b"0" * 32,
    )
    assert not await owner.fetchval("SELECT bool_or(owner_verified) FROM accounts WHERE owner_id = $1", ada.id)
    await owner.execute("DELETE FROM accounts WHERE id = $1", "acc_" + "a" * 26)


async def test_the_first_finding_about_a_document_stays(
    customers: Customers, onboarding: Onboarding, owner: Connection
) -> None:
    ada = await registered(customers)
    document = await document_of(onboarding, ada.id)
    assert (await onboarding.record(document, PENDING)).state is VerificationState.PENDING
    assert (await onboarding.record(document, REJECTED)).state is VerificationState.REJECTED
    assert (await onboarding.record(document, VERIFIED)).state is VerificationState.REJECTED
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute("UPDATE identity_documents SET state = 'verified', code = NULL WHERE id = $1", document)


async def test_another_document_follows_a_rejection_and_nothing_else(
    customers: Customers, onboarding: Onboarding, database: Database
) -> None:
    ada = await registered(customers)
    another = NewDocument(DocumentType.BVN, "11112222333", PENDING)
    with pytest.raises(DocumentUndecided):
        await onboarding.send_document(ada.id, another)
    await onboarding.record(await document_of(onboarding, ada.id), REJECTED)
    answers = await asyncio.gather(
        *(onboarding.send_document(ada.id, another) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in answers) == ["DocumentUndecided"] * 3 + ["IdentityDocument"]
    found = await customers.find(ada.id)
    assert found is not None
    assert (found.verification, found.rejection_code, found.identity_document_end) == ("pending", None, "333")
    await onboarding.record(await document_of(onboarding, ada.id), VERIFIED)
    with pytest.raises(VerifiedAlready):
        await onboarding.send_document(ada.id, another)
    with pytest.raises(IdentityMissing):
        await onboarding.send_document(await staff(database), another)
    listed = (await onboarding.documents(10, customer_id=ada.id)).items
    assert [(one.type, one.state) for one in listed] == [("BVN", "verified"), ("NIN", "rejected")]


async def test_staff_decide_once_on_record_and_never_about_themselves(
    customers: Customers, onboarding: Onboarding, database: Database
) -> None:
    ada = await registered(customers, NEEDS_A_PERSON)
    document = await document_of(onboarding, ada.id)
    decider = Actor(await staff(database), Role.OPERATOR)
    with pytest.raises(NotAllowed):
        await onboarding.decide(Actor(decider.id, Role.CUSTOMER), document, VERIFIED, "seen")
    with pytest.raises(ConflictOfInterest):
        await onboarding.decide(Actor(ada.id, Role.ADMIN), document, VERIFIED, "me")
    # A verifier's answer that comes late does not overrule the person who was asked.
    assert (await onboarding.record(document, VERIFIED)).state is VerificationState.IN_REVIEW
    for _ in range(2):
        decided = await onboarding.decide(decider, document, REJECTED, "The photograph is of somebody else")
        assert (decided.state, decided.code) == ("rejected", "number_unknown")
    with pytest.raises(DocumentDecided):
        await onboarding.decide(decider, document, VERIFIED, "Second thoughts")
    (kept,) = (await StaffActions(database).find(ActionSearch(subject=document), 10)).items
    assert (kept.action, kept.reason) == (Action.DECIDE_DOCUMENT, "The photograph is of somebody else")
    assert (kept.before, kept.after) == ({"state": "in_review"}, {"state": "rejected", "code": "number_unknown"})


@pytest.mark.parametrize(
    ("number", "shown"), [("22334455667", "667"), ("1" * 20, "1111"), ("AB1", "1"), ("12345", "5")]
)
def test_a_third_of_a_number_is_shown_and_four_characters_at_most(number: str, shown: str) -> None:
    assert last_characters(number) == shown


# At rest


async def everything(owner: Connection) -> str:
    """The text of every row of every table."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [str(await owner.fetch(f"SELECT t::text FROM {one['tablename']} t")) for one in tables]
    return "\n".join(rows)


async def test_no_column_holds_a_number_in_the_clear(
    customers: Customers, onboarding: Onboarding, owner: Connection
) -> None:
    ada = await registered(customers)
    await onboarding.record(await document_of(onboarding, ada.id), REJECTED)
    await onboarding.send_document(ada.id, NewDocument(DocumentType.BVN, "11112222333", PENDING))
    text = await everything(owner)
    assert ada.id in text
    assert NUMBER not in text
    assert "11112222333" not in text


async def test_an_encrypted_number_belongs_to_its_row(
    customers: Customers, onboarding: Onboarding, owner: Connection
) -> None:
    ada, ben = await registered(customers), await registered(customers)
    hers, his = await document_of(onboarding, ada.id), await document_of(onboarding, ben.id)
    inquiry = await onboarding.inquiry(hers)
    assert inquiry is not None
    assert (inquiry.number, inquiry.full_name) == (NUMBER, "Ada Obi")
    await owner.execute(
        "UPDATE identity_documents SET number_encrypted = (SELECT number_encrypted FROM identity_documents "
        "WHERE id = $1) WHERE id = $2",
        hers,
        his,
    )
    with pytest.raises(Exception, match="does not decrypt"):
        await onboarding.inquiry(his)


@pytest.fixture
async def books_of_before(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[str]:
    """A database whose numbers are plain, with two customers, one of them staff, and an account."""
    name = f"test_{secrets.token_hex(6)}"
    server = await asyncpg.connect(postgres.url)
    await server.execute(f"CREATE DATABASE {name}")
    url = database_named(postgres.url, name)
    earlier = tmp_path / "migrations"
    first = next((MIGRATIONS / "versions").glob("*_identity_documents.py")).name[:4]
    later = [path.name for path in (MIGRATIONS / "versions").glob("*.py") if path.name[:4] >= first]
    shutil.copytree(MIGRATIONS, earlier, ignore=shutil.ignore_patterns("__pycache__", *later))
    await migrate(url, folder=earlier)
    books = await asyncpg.connect(url)
    ada = "cus_" + "a" * 26
    await books.execute(
        "INSERT INTO customers (id, email, password_hash, full_name, identity_document_type, identity_document_number)"
        " VALUES ($1, 'ada@example.com', '-', 'Ada Obi', 'NIN', $2)",
        ada,
        NUMBER,
    )
    await books.execute(
        "INSERT INTO customers (id, email, password_hash, full_name) VALUES ($1, 'olu@example.com', '-', 'Olu Ade')",
        "cus_" + "b" * 26,
    )
    await books.execute(
        "INSERT INTO accounts (id, owner_id, currency, head_hash) VALUES ($1, $2, 'USD', $3)",
        "acc_" + "a" * 26,
        ada,
        b"0" * 32,
    )
    await books.close()
    await migrate(url)
    yield url
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


async def test_customers_of_before_stay_able_to_pay_and_their_numbers_are_encrypted(books_of_before: str) -> None:
    async with Database(books_of_before, 2) as database:
        onboarding, ada = Onboarding(database, ENCRYPTION), CustomerId("cus_" + "a" * 26)
        assert await may_send(AccountReads(database), AccountId("acc_" + "a" * 26))
        found = await Customers(database).find(ada)
        assert found is not None
        assert (found.verification, found.identity_document_end) == ("verified", "101")
        nobody = await Customers(database).find(CustomerId("cus_" + "b" * 26))
        assert nobody is not None
        assert nobody.verification is None
        assert [await onboarding.encrypt_anew(plain_only=True) for _ in range(2)] == [1, 0]
        assert (await Customers(database).open_account(ada, "EUR")).owner_verified
    connection = await asyncpg.connect(books_of_before)
    assert NUMBER not in await everything(connection)
    await connection.close()
