"""Two customers, a dispute between them, decisions of reviewers, and a book whose faults a test chooses."""

import pytest

from customers.postgres import Customers
from database.connections import Database
from reviews.review import Decision, Ruling
from tests.orders import Holder, funded, holder, staff
from tests.workflows.disputing import Case, opened
from tests.workflows.sagas import UnreliableBook


@pytest.fixture
def book(database: Database) -> UnreliableBook:
    return UnreliableBook(database)


@pytest.fixture
async def alice(customers: Customers, book: UnreliableBook) -> Holder:
    """With 100.00. How the money came to her is no call of the test's."""
    owner = await funded(customers, book, 10_000)
    book.calls.clear()
    return owner


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def case(database: Database, alice: Holder, bob: Holder) -> Case:
    return await opened(database, alice, bob)


@pytest.fixture
async def approve(database: Database) -> Decision:
    return Decision(await staff(database), Ruling.APPROVE, "known customer")


@pytest.fixture
async def approve_too(database: Database) -> Decision:
    """By somebody else."""
    return Decision(await staff(database), Ruling.APPROVE, "called the customer")


@pytest.fixture
async def reject(database: Database) -> Decision:
    return Decision(await staff(database), Ruling.REJECT, "asks to be paid twice")
