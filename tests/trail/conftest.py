"""A trail with something on it."""

from dataclasses import dataclass

import pytest

from customers.postgres import Customers
from database.connections import Database
from database.trail.signatures import Signatures
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.book import Book
from tests.orders import completed, funded, holder, order
from trail.postgres.seals import seal_trails

SIGNATURES = Signatures(["a key of the audit trail that only the tests use"])


@dataclass(frozen=True)
class Scene:
    """Alice has deposited 100 and sent 30 of it."""

    owner_id: CustomerId
    account_id: AccountId
    transfer_id: TransferId


@pytest.fixture
async def scene(customers: Customers, book: Book) -> Scene:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    wanted = await completed(book, order(alice.id, alice.account_id, bob.account_id, 30))
    return Scene(alice.id, alice.account_id, wanted.transfer_id)


@pytest.fixture
async def sealed(scene: Scene, database: Database) -> Scene:
    await seal_trails(database, SIGNATURES)
    return scene
