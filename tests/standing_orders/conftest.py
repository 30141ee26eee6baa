"""A scene of standing orders in a database of its own."""

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.book import Book
from tests.standing_orders.scene import Scene


@pytest.fixture
def scene(database: Database, customers: Customers, book: Book) -> Scene:
    return Scene(database, customers, book)
