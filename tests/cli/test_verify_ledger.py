"""`remit verify`: 1 says that the books are broken, 2 that nobody could look."""

import json
from pathlib import Path

import asyncpg
import pytest

from database.connections import PATIENT
from devenv.processes.ports import free_port
from tests.cli.remit import remit
from tests.conftest import database_named


async def verify(**variables: str) -> tuple[int, str, list[str]]:
    return await remit("verify", **variables)


@pytest.mark.breaks_the_books
async def test_clean_books_are_0_and_broken_ones_1(database_url: str) -> None:
    status, printed, output = await verify(REMIT_DATABASE_URL=database_url)
    assert (status, "Clean" in printed, output) == (0, True, [])
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO customers"
        " (id, email, password_hash, full_name, identity_document_type, identity_document_end, verification)"
        f" VALUES ('cus_{'a' * 26}', 'a@example.com', '-', 'A', 'NIN', '5', 'verified')"
    )
    await connection.execute(
        "INSERT INTO accounts (id, owner_id, currency, balance_minor, head_hash)"
        f" VALUES ('acc_{'a' * 26}', 'cus_{'a' * 26}', 'USD', 5, sha256('x'))"
    )
    await connection.close()
    status, printed, output = await verify(REMIT_DATABASE_URL=database_url)
    assert (status, "Broken" in printed, output) == (1, True, [])


@pytest.mark.system
@pytest.mark.breaks_the_books
async def test_verify_prints_one_json_object(database_url: str) -> None:
    status, printed, _ = await remit("verify", "--json", REMIT_DATABASE_URL=database_url)
    assert status == 0
    assert json.loads(printed).items() >= {"clean": True, "broken": [], "totals": [], "transfers_by_state": {}}.items()
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO customers"
        " (id, email, password_hash, full_name, identity_document_type, identity_document_end, verification)"
        f" VALUES ('cus_{'a' * 26}', 'a@example.com', '-', 'A', 'NIN', '5', 'verified')"
    )
    await connection.execute(
        "INSERT INTO accounts (id, owner_id, currency, balance_minor, head_hash)"
        f" VALUES ('acc_{'a' * 26}', 'cus_{'a' * 26}', 'USD', 5, sha256('x'))"
    )
    await connection.close()
    status, printed, _ = await remit("verify", "--json", REMIT_DATABASE_URL=database_url)
    found = json.loads(printed)
    assert (status, found["clean"], found["totals"][0]["customers_minor"]) == (1, False, 5)
    assert {"invariant", "subject", "detail"} == set(found["broken"][0])


@pytest.mark.system
async def test_books_that_nobody_can_reach_or_read_are_2_with_one_line(database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE DATABASE empty_of_tables")
    try:
        for variables, why in (
            ({"REMIT_DATABASE_URL": f"postgresql://remit@127.0.0.1:{free_port()}/remit"}, "did not answer"),
            ({"REMIT_DATABASE_URL": database_named(database_url, "no_such_database")}, "did not answer"),
            ({"REMIT_DATABASE_URL": database_named(database_url, "empty_of_tables")}, "run `remit migrate`"),
            ({"REMIT_HOME": str(tmp_path / "none")}, "There are no books yet"),
        ):
            status, printed, output = await verify(**variables)
            assert (status, printed, len(output)) == (2, "", 1), output
            assert why in output[0]
    finally:
        await connection.execute("DROP DATABASE empty_of_tables WITH (FORCE)")
        await connection.close()


@pytest.mark.system
async def test_books_that_take_longer_to_read_than_a_request_may_are_verified(database_url: str) -> None:
    """A day of a busy bank, or tables whose statistics a crash of PostgreSQL took away."""
    slow = f"(SELECT pg_sleep({PATIENT.statement_seconds + 0.5})) AS slow"
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE event_head RENAME TO event_head_kept")
    await connection.execute(f"CREATE VIEW event_head AS SELECT kept.* FROM event_head_kept kept, {slow}")
    await connection.execute("GRANT SELECT ON event_head TO PUBLIC")
    await connection.close()
    status, _, output = await verify(REMIT_DATABASE_URL=database_url)
    assert (status, output) == (0, [])


@pytest.mark.system
async def test_books_of_an_older_schema_are_2(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP TABLE postings CASCADE")
    await connection.close()
    status, printed, output = await verify(REMIT_DATABASE_URL=database_url)
    assert (status, printed, len(output)) == (2, "", 1), output
    assert "run `remit migrate`" in output[0]


@pytest.mark.system
@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://remit:hunter2@127.0.0.1/remit",
        "postgresql://remit:hunter2@127.0.0.1:port/remit",
        "postgresql://remit:hunter2@[::1/remit",
        "postgresql:",
    ],
)
async def test_a_malformed_url_is_2_with_a_line_that_names_the_variable_and_not_the_password(url: str) -> None:
    status, printed, output = await verify(REMIT_DATABASE_URL=url)
    assert (status, printed, len(output)) == (2, "", 1), output
    assert output[0].startswith("REMIT_DATABASE_URL: ")
    assert "hunter2" not in output[0]
