"""`remit rules dry-run`: what rules would have done, without doing it."""

import json
from pathlib import Path

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD
from ledger.postgres.book import Book
from tests.cli.remit import remit
from tests.orders import completed, funded, order

pytestmark = pytest.mark.system

FILE = """
[[rules]]
kind = "amount"
from_major = 100
answer = "review"
"""


async def test_a_dry_run_tells_what_a_file_of_rules_would_have_done(
    database_url: str, database: Database, customers: Customers, book: Book, tmp_path: Path
) -> None:
    payer = await funded(customers, book, 20_000)
    large = await completed(book, order(payer.id, payer.account_id, WORLD, 10_000))
    await completed(book, order(payer.id, payer.account_id, WORLD, 9_999))
    (tmp_path / "rules.toml").write_text(FILE)
    arguments = ("rules", "dry-run", "--days", "1", "--file", str(tmp_path / "rules.toml"))
    status, printed, output = await remit(*arguments, REMIT_DATABASE_URL=database_url)
    assert (status, output) == (0, [])
    assert "3 transfers of 1 days" in printed
    assert f"  {large.transfer_id} withdrawal of $100.00: The amount of $100.00 reaches $100.00." in printed

    status, printed, _ = await remit(*arguments, "--json", REMIT_DATABASE_URL=database_url)
    found = json.loads(printed)
    assert (status, found["transfers"], found["by_rule"]) == (0, 3, {"amount_review": 2})
    assert found["outcomes"] == [
        {"was": "allow", "would_be": "allow", "transfers": 1},
        {"was": "allow", "would_be": "review", "transfers": 2},
    ]

    status, printed, _ = await remit("rules", "dry-run", REMIT_DATABASE_URL=database_url)
    assert (status, "By rule: none found anything" in printed) == (0, True)


async def test_a_file_that_is_no_rule_set_ends_a_dry_run_with_a_line_for_each_mistake(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rules]]\nkind = "amount"\n\n[[rules]]\nkind = "amuont"\n')
    status, _, output = await remit("rules", "dry-run", "--file", str(path))
    assert (status, len(output)) == (2, 2)
    assert output[0] == f"{path}: rule 1: from_major: is missing"
    assert "Did you mean amount?" in output[1]
