"""Migrations of tables that are in use go through `database/schema_changes.py`, which lets nobody wait."""

import re
from pathlib import Path

VERSIONS = Path(__file__).resolve().parents[2] / "migrations" / "versions"

# The first version: nobody used its tables while they were made.
FIRST_VERSION = "0014"


def statements_that_block(text: str) -> list[str]:
    made_here = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", text))
    indexes = re.findall(r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)\w+\s+ON (\w+)", text)
    constraints = re.findall(r"ALTER TABLE (\w+)\s+ADD (?:CONSTRAINT|CHECK|FOREIGN|UNIQUE)", text)
    return [table for table in (*indexes, *constraints) if table not in made_here]


def test_a_migration_makes_no_index_and_no_constraint_that_writers_wait_for() -> None:
    later = [path for path in sorted(VERSIONS.glob("*.py")) if path.name[:4] > FIRST_VERSION]
    assert later
    assert {path.name: found for path in later if (found := statements_that_block(path.read_text()))} == {}


def test_a_blocking_statement_is_recognised() -> None:
    assert statements_that_block("CREATE INDEX x ON transfers (id)") == ["transfers"]
    assert statements_that_block("ALTER TABLE transfers ADD CONSTRAINT x CHECK (true)") == ["transfers"]
    assert statements_that_block("CREATE TABLE new (id text); CREATE INDEX x ON new (id)") == []
