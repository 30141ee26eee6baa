"""What is under way, as metrics and `remit status` read it, and that the reads stay cheap as the books grow."""

import asyncio

import asyncpg
import pytest

from customers.documents.document import (
    NEEDS_A_PERSON,
    PENDING,
    VERIFIED,
    DocumentType,
    NewDocument,
    VerificationState,
)
from customers.postgres import Customers
from database.connections import PEOPLES_ROLE, Database
from devenv.demo.postgres import holding
from ledger.ids import new_case_id
from ledger.postgres.book import Book
from ledger.transfers import State, Step
from staff.postgres import open_work
from staff.postgres.open_work import OpenWorkReads
from tests.connections import Connection
from tests.orders import Holder, funded, holder, order
from tests.waiting import until


@pytest.fixture
def reads(database: Database) -> OpenWorkReads:
    return OpenWorkReads(database)


@pytest.fixture
async def ada(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def ben(customers: Customers) -> Holder:
    return await holder(customers)


async def test_an_amount_in_transit_is_summed_by_currency_with_the_age_of_the_oldest(
    reads: OpenWorkReads, book: Book, ada: Holder, ben: Holder, owner: Connection
) -> None:
    moving = [order(ada.id, ada.account_id, ben.account_id, amount) for amount in (700, 300)]
    for wanted in moving:
        await book.open_transfer(wanted)
        await book.debit(Step(wanted.transfer_id, 1))
    await owner.execute(
        "UPDATE transfers SET updated_at = updated_at - interval '2 minutes' WHERE id = $1", moving[0].transfer_id
    )
    found = await reads.read()
    (usd,) = found.in_transit
    assert (usd.currency, usd.transfers, usd.amount_minor) == (moving[0].currency, 2, 1_000)
    assert 120 <= usd.oldest_seconds < 180
    assert {one.state: one.transfers for one in found.states}[State.DEBITED] == 2
    (stalled,) = await reads.stalled(60, 10)
    assert (stalled.id, stalled.account_id) == (moving[0].transfer_id, ben.account_id)
    for wanted in moving:
        await book.credit(Step(wanted.transfer_id, 1))
    assert (await reads.read()).in_transit == []


async def test_the_session_that_holds_a_row_for_long_is_named_with_those_that_wait(
    database_url: str, database: Database, ada: Holder, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_work, "_BLOCKERS", open_work._BLOCKERS.replace("5 seconds", "0 seconds"))  # noqa: SLF001
    async with (
        Database(database_url, 1, role=PEOPLES_ROLE) as people,
        holding(database, ada.account_id),
    ):
        reads = OpenWorkReads(people)

        async def is_named() -> bool:
            found = [blocker for blocker in await reads.blockers() if blocker.waiting]
            return [(blocker.application, blocker.waiting) for blocker in found] == [("remit", 1)]

        waits = owner.execute("UPDATE accounts SET tier = tier WHERE id = $1", ada.account_id)
        waiting = asyncio.create_task(waits)
        await until(is_named, "the session is named")
    await waiting


OF_INDEXES = {
    "_STATES": "transfers_not_final",
    "_IN_TRANSIT": "transfers_not_final",
    "_REVIEWS": "transfers_not_final",
    "_DISPUTES": "disputes_",
    "_CASES": "cases_open_by_",
    "_DOCUMENTS": "identity_documents_",
}


async def test_documents_and_cases_that_wait_for_people_are_counted_with_the_age_of_the_oldest(
    reads: OpenWorkReads, customers: Customers, ada: Holder, owner: Connection
) -> None:
    for number, finding in enumerate((PENDING, NEEDS_A_PERSON, NEEDS_A_PERSON, VERIFIED)):
        document = NewDocument(DocumentType.NIN, "98765432101", finding)
        await customers.register(f"{number}@example.com", "-", "Eve Roe", document, "USD")
    await owner.execute(
        "UPDATE identity_documents SET submitted_at = now() - interval '1 hour' WHERE state <> 'pending'"
    )
    for closed in (None, "seen"):
        await owner.execute(
            """
            INSERT INTO cases (id, account_id, opened_at, closed_at, closed_by, closing_reason)
            VALUES ($1, $2, now() - interval '2 hours', CASE WHEN $4::text IS NULL THEN NULL ELSE now() END,
                CASE WHEN $4::text IS NULL THEN NULL ELSE $3 END, $4)
            """,
            *(new_case_id(), ada.account_id, ada.id, closed),
        )
    found = await reads.read()
    assert (found.cases.open, found.cases.oldest_seconds // 60) == (1, 120)
    waiting = {one.state: (one.documents, one.oldest_seconds // 60) for one in found.documents}
    assert waiting == {VerificationState.PENDING: (1, 0), VerificationState.IN_REVIEW: (2, 60)}


@pytest.mark.parametrize("statement", OF_INDEXES)
async def test_open_work_is_read_by_the_indexes_of_what_is_open(
    owner: Connection, ada: Holder, ben: Holder, statement: str
) -> None:
    await owner.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in await owner.fetch(f"EXPLAIN {getattr(open_work, statement)}"))
    assert OF_INDEXES[statement] in plan
    assert "Seq Scan" not in plan


async def test_people_without_more_rights_read_open_work_too(database_url: str, reads: OpenWorkReads) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET ROLE remit_operator")
    for statement in (*OF_INDEXES, "_BLOCKERS"):
        await connection.fetch(getattr(open_work, statement))
    await connection.close()
