"""Statements that somebody brings: whether they are what the books say."""

import json
from pathlib import Path

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.book import Book
from statements.postgres.account_statements import AccountStatements
from statements.postgres.file_checks import check_file
from statements.renderings.statement_format import StatementFormat
from tests.cli.remit import remit
from tests.connections import Connection
from tests.orders import funded, holder, order
from tests.statements.scene import made, posted, rendered


async def test_a_file_of_any_format_is_what_the_books_say_until_somebody_edits_it(
    database: Database, customers: Customers, book: Book, statements: AccountStatements
) -> None:
    ada, ben = await funded(customers, book, 5_000), await holder(customers)
    await posted(database, order(ada.id, ada.account_id, ben.account_id, 700, note="Rent"))
    statement = await made(statements, ada.account_id)
    for format_ in StatementFormat:
        file = await rendered(statements, statement, format_)
        found = await check_file(statements, file)
        assert (found.key, found.differences) == (statement.key, []), format_
        assert (await check_file(statements, file + b"\n")).differences
        if format_ is not StatementFormat.PDF:
            edited = file.replace(b"Rent", b"Food")
            assert [
                "differs from the books' own" in output for output in (await check_file(statements, edited)).differences
            ]
    csv_file = await rendered(statements, statement, StatementFormat.CSV)
    richer = await check_file(statements, csv_file.replace(b",7.00,,43.00,", b",6.00,,44.00,"))
    assert any("entry 2 is" in output for output in richer.differences)
    other = await check_file(statements, csv_file.replace(statement.account_id.encode(), ben.account_id.encode()))
    assert other.differences == ["the books have no such statement"]


@pytest.mark.breaks_the_books
async def test_a_file_of_before_tells_that_the_books_were_edited(
    customers: Customers, book: Book, statements: AccountStatements, owner: Connection
) -> None:
    ada = await funded(customers, book, 5_000)
    file = await rendered(statements, await made(statements, ada.account_id), StatementFormat.PDF)
    await owner.execute("ALTER TABLE entries DISABLE TRIGGER USER")
    await owner.execute("UPDATE entries SET amount_minor = 4000, balance_after = 4000")
    differences = (await check_file(statements, file)).differences
    assert any("entry 1 is not what was written" in output for output in differences)
    assert any("differs from the books' own PDF" in output for output in differences)


@pytest.mark.system
async def test_verify_compares_a_statement_from_a_file(
    customers: Customers, book: Book, statements: AccountStatements, database_url: str, tmp_path: Path
) -> None:
    ada = await funded(customers, book, 5_000)
    statement = await made(statements, ada.account_id)
    file = tmp_path / "statement.pdf"
    file.write_bytes(await rendered(statements, statement, StatementFormat.PDF))
    status, printed, output = await remit("verify", "--statement", str(file), "--json", REMIT_DATABASE_URL=database_url)
    assert (status, json.loads(printed), output) == (
        0,
        {"clean": True, "statement": str(statement.key), "differences": []},
        [],
    )
    file.write_bytes(file.read_bytes() + b"%")
    status, printed, _ = await remit("verify", "--statement", str(file), REMIT_DATABASE_URL=database_url)
    assert (status, "is not what the books say" in printed) == (1, True)
    file.write_text("no statement")
    status, _, output = await remit("verify", "--statement", str(file), REMIT_DATABASE_URL=database_url)
    assert (status, len(output)) == (2, 1)
