"""What rules would have done to past transfers: the same as they would have done then."""

from datetime import timedelta
from typing import Any

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD
from ledger.postgres.book import Book
from ledger.transfers import Kind
from screening.dry_run import MOST_EXAMPLES, DryRun
from screening.postgres.past_transfers import PastTransfers
from screening.postgres.rules_in_force import InForce
from screening.rule_sets import rule_set_in
from screening.rules import ScreeningAnswer
from tests.orders import Holder, completed, funded, holder, order

ALLOW, FLAG, DECLINE = ScreeningAnswer.ALLOW, ScreeningAnswer.FLAG, ScreeningAnswer.DECLINE
WEEK = timedelta(days=7)


@pytest.fixture
async def payer(customers: Customers, book: Book) -> Holder:
    """With 100.00, by one deposit."""
    return await funded(customers, book, 10_000)


async def tried(database: Database, *rules: dict[str, Any]) -> DryRun:
    rule_set = rule_set_in(list(rules))
    found = DryRun(rule_set.rules)
    async for past, facts in PastTransfers(database, InForce(rule_set)).read(WEEK):
        found.add(past, facts)
    return found


async def withdrawn(book: Book, payer: Holder, *amounts: int) -> list[str]:
    orders = [order(payer.id, payer.account_id, WORLD, amount) for amount in amounts]
    return [(await completed(book, each)).transfer_id for each in orders]


async def test_a_dry_run_flags_the_withdrawals_from_the_third_on_and_names_them(
    database: Database, book: Book, payer: Holder
) -> None:
    ids = await withdrawn(book, payer, *[10] * 4)
    rule = {"kind": "velocity", "kinds": ["withdrawal"], "within_seconds": 60, "count": 3, "name": "three"}
    found = await tried(database, rule)
    assert found.outcomes == {(ALLOW, ALLOW): 3, (ALLOW, FLAG): 2}
    assert found.by_rule == {"three": 2}
    assert [each.transfer.order.transfer_id for each in found.examples[ALLOW, FLAG]] == ids[2:]


async def test_a_dry_run_sees_balances_and_payees_as_they_were(
    database: Database, book: Book, customers: Customers, payer: Holder
) -> None:
    payee = await holder(customers)
    pay = [order(payer.id, payer.account_id, payee.account_id, amount) for amount in (1_000, 8_500, 100)]
    for each in pay:
        await completed(book, each)
    drained = {"kind": "drained_balance", "from_major": 50, "within_seconds": 60, "percent": 90}
    found = await tried(database, drained, {"kind": "new_payee", "from_major": 1})
    assert found.by_rule == {"drained_balance": 1, "new_payee": 1}
    codes = {each.transfer.order.transfer_id: each.codes for kept in found.examples.values() for each in kept}
    assert codes == {pay[0].transfer_id: ["new_payee"], pay[1].transfer_id: ["drained_balance"]}


async def test_a_dry_run_reads_all_transfers_page_by_page_and_keeps_few_examples(
    database: Database, book: Book, payer: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screening.postgres.past_transfers.PAGE", 2)
    await withdrawn(book, payer, *[10] * 7)
    found = await tried(database, {"kind": "amount", "from_major": 1_000_000})
    assert (found.transfers, found.outcomes, found.examples) == (8, {(ALLOW, ALLOW): 8}, {})
    strict = await tried(database, {"kind": "velocity", "kinds": [Kind.WITHDRAWAL], "within_seconds": 60, "count": 2})
    assert len(strict.examples[ALLOW, FLAG]) == MOST_EXAMPLES


async def test_a_transfer_that_was_refused_before_its_screening_is_left_out(
    database: Database, book: Book, payer: Holder
) -> None:
    refused = order(payer.id, payer.account_id, WORLD, 99_999)
    await book.open_transfer(refused)
    found = await tried(database, {"kind": "amount", "from_major": 1})
    assert found.outcomes == {(ALLOW, DECLINE): 1}
