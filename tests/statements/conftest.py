"""Statements over a real database."""

import pytest

from database.connections import Database
from statements.postgres.account_statements import AccountStatements
from tests.statements.scene import TERMS


@pytest.fixture
def statements(database: Database) -> AccountStatements:
    return AccountStatements(database, TERMS)
