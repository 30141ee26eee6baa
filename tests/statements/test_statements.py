"""Statements over real books: where they are cut, and what the database refuses."""

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import CustomerId
from ledger.postgres.book import Book
from notifications.postgres import Notifications
from statements.postgres import account_statements
from statements.postgres.account_statements import AccountStatements
from statements.renderings.formats import contents_of
from statements.renderings.statement_format import StatementFormat
from statements.statement import AccountStatement, PeriodNotBegun, StatementState
from tests.connections import Connection
from tests.orders import Holder, deposited, funded, holder, order
from tests.statements.scene import BEGINNING, NEVER, lines_of, made, posted, rendered

ACCOUNTS, ROUNDS = 10, 100


async def test_opening_and_credits_without_debits_are_the_closing_and_the_next_opening_over_1000_histories(
    database: Database, customers: Customers, book: Book, statements: AccountStatements
) -> None:
    chance = random.Random(2026)
    holders = [await funded(customers, book, 100_000) for _ in range(ACCOUNTS)]
    before: dict[str, AccountStatement] = {}
    for _ in range(ROUNDS):
        orders = []
        for _ in range(chance.randrange(2 * ACCOUNTS)):
            payer, payee = chance.sample(holders, 2)
            orders.append(order(payer.id, payer.account_id, payee.account_id, chance.randrange(1, 50_000)))
        await posted(database, *orders)
        for each in holders:
            last = before.get(each.account_id)
            found = await made(statements, each.account_id, last.ends_at if last else BEGINNING)
            assert found.opening_minor + found.credits_minor - found.debits_minor == found.closing_minor
            assert found.credits + found.debits == found.lines
            assert (found.number, found.opening_minor, found.opening_hash, found.from_version) == (
                (last.number + 1, last.closing_minor, last.head_hash, last.to_version + 1)
                if last
                else (1, 0, found.opening_hash, 1)
            )
            before[each.account_id] = found
    assert sum(each.lines for each in before.values()) < sum(each.to_version for each in before.values())
    # One statement over all of an account's life says what all of them together say.
    for each in holders:
        whole = await made(statements, each.account_id)
        last = before[each.account_id]
        assert (whole.closing_minor, whole.head_hash, whole.to_version) == (
            last.closing_minor,
            last.head_hash,
            last.to_version,
        )
        contents = contents_of(await rendered(statements, whole, StatementFormat.CSV))
        assert sum(line.amount_minor for line in contents.lines) == whole.closing_minor


async def test_a_statement_shows_notes_and_the_other_account_but_no_reference_of_somebody_else(
    database: Database, customers: Customers, book: Book, statements: AccountStatements
) -> None:
    ada, ben = await funded(customers, book, 5_000), await holder(customers)
    await posted(
        database, order(ada.id, ada.account_id, ben.account_id, 700, note="Rent", transaction_id="ada-2026-11")
    )
    of_ada = (await lines_of(statements, await made(statements, ada.account_id)))[-1]
    of_ben = (await lines_of(statements, await made(statements, ben.account_id)))[-1]
    assert (of_ada.note, of_ben.note) == ("Rent", "Rent")
    assert (of_ada.reference, of_ben.reference) == ("ada-2026-11", None)
    assert of_ada.counterparty is not None
    assert of_ada.counterparty != of_ben.counterparty


@pytest.mark.breaks_the_books
async def test_an_entry_that_comes_late_with_an_early_time_stays_behind_the_cut(
    customers: Customers, book: Book, statements: AccountStatements, owner: Connection
) -> None:
    ada = await funded(customers, book, 5_000)
    first = await made(statements, ada.account_id)
    await deposited(book, ada.id, ada.account_id, 300)
    # A step may be a minute behind the clock by which the period was cut.
    await owner.execute("ALTER TABLE entries DISABLE TRIGGER USER")
    await owner.execute("UPDATE entries SET recorded_at = $1 WHERE version = 2", first.ends_at - timedelta(seconds=5))
    again = await made(statements, ada.account_id, ends_at=first.ends_at)
    second = await made(statements, ada.account_id, first.ends_at)
    assert (again.to_version, again.closing_minor) == (first.to_version, first.closing_minor) == (1, 5_000)
    assert (second.from_version, second.to_version, second.opening_minor) == (2, 2, 5_000)
    # A moment between both ends of the first one is not behind its end.
    part = await made(statements, ada.account_id, ends_at=first.ends_at - timedelta(microseconds=1))
    assert part.to_version == 1


async def test_statements_that_are_made_at_once_get_numbers_without_a_gap(
    customers: Customers, book: Book, statements: AccountStatements
) -> None:
    ada = await funded(customers, book, 5_000)
    found = await asyncio.gather(*(made(statements, ada.account_id) for _ in range(5)))
    assert sorted(each.number for each in found) == [1, 2, 3, 4, 5]


async def test_a_statement_without_entries_keeps_its_balance(
    customers: Customers, book: Book, statements: AccountStatements
) -> None:
    ada = await funded(customers, book, 5_000)
    first = await made(statements, ada.account_id)
    empty = await made(statements, ada.account_id, first.ends_at)
    assert (empty.lines, empty.opening_minor, empty.closing_minor) == (0, 5_000, 5_000)
    assert empty.state is StatementState.READY
    unused = await made(statements, (await holder(customers)).account_id)
    assert (unused.from_version, unused.to_version, unused.closing_minor) == (1, 0, 0)
    for format_ in StatementFormat:
        assert await rendered(statements, empty, format_)


async def test_a_period_to_come_and_somebody_elses_account_have_no_statement(
    customers: Customers, statements: AccountStatements
) -> None:
    ada = await holder(customers)
    with pytest.raises(PeriodNotBegun):
        await statements.make(ada.account_id, NEVER - timedelta(days=1), NEVER)
    assert await statements.make(ada.account_id, BEGINNING, NEVER, owner_id=CustomerId("cus_other")) is None


async def test_the_sums_of_a_long_statement_go_on_from_its_row_and_tell_its_owner(
    database: Database,
    customers: Customers,
    book: Book,
    statements: AccountStatements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_statements, "SUMMED_AT_ONCE", 2)
    monkeypatch.setattr(account_statements, "LINES_IN_A_STEP", 2)
    ada, ben = await funded(customers, book, 5_000), await holder(customers)
    await posted(database, *(order(ada.id, ada.account_id, ben.account_id, 100) for _ in range(4)))
    cut = await made(statements, ada.account_id)
    assert (cut.state, cut.lines_summed, cut.lines) == (StatementState.SUMMING, 0, 5)
    # Two walks at once, as after a lost workflow: neither counts a line twice.
    await asyncio.gather(statements.add_up(cut.key), statements.add_up(cut.key))
    while not (progress := await statements.add_up(cut.key)).is_ready:
        assert progress.lines_summed < progress.lines
    ready = await statements.find(cut.key)
    assert ready is not None
    assert (ready.credits_minor, ready.debits_minor, ready.debits, ready.closing_minor) == (5_000, 400, 4, 4_600)
    assert await statements.add_up(cut.key) == progress
    told = await Notifications(database).of_customer(ada.id, None, 10)
    assert [each.body for each in told.items if each.occasion == "statement/1"] == [ready.message]


async def test_a_ready_statement_has_one_event_for_its_owner(
    customers: Customers, book: Book, statements: AccountStatements, owner: Connection
) -> None:
    ada = await funded(customers, book, 5_000)
    statement = await made(statements, ada.account_id)
    rows = await owner.fetch("SELECT subject, audience, data FROM outbox_events WHERE type = 'statement.ready'")
    assert [(row["subject"], row["audience"]) for row in rows] == [(str(statement.key), [ada.id])]


@pytest.mark.parametrize(
    "change",
    [
        "number = s.number + 2",
        "closing_minor = s.closing_minor + 1",
        "head_hash = s.opening_hash",
        "opening_minor = 1",
        "to_version = s.to_version + 1",
    ],
)
async def test_the_database_refuses_a_statement_that_its_entries_do_not_say(
    customers: Customers, book: Book, statements: AccountStatements, owner: Connection, change: str
) -> None:
    ada = await funded(customers, book, 5_000)
    await made(statements, ada.account_id)
    columns = (
        "account_id holder_name bank_name bank_address time_zone begins_at ends_at from_version to_version "
        "opening_minor closing_minor opening_hash head_hash number"
    ).split()
    name, _, value = change.partition(" = ")
    values = ", ".join({name: value}.get(each, "s.number + 1" if each == "number" else f"s.{each}") for each in columns)
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(
            f"INSERT INTO account_statements ({', '.join(columns)}) SELECT {values} FROM account_statements s"
        )


async def test_nobody_changes_a_statement_or_its_sums(
    customers: Customers, book: Book, statements: AccountStatements, owner: Connection
) -> None:
    ada: Holder = await funded(customers, book, 5_000)
    await made(statements, ada.account_id)
    for change in (
        "UPDATE account_statements SET holder_name = 'Eve'",
        "DELETE FROM account_statements",
        "DELETE FROM account_statement_totals",
        "UPDATE account_statement_totals SET credits_minor = 1",
        "UPDATE account_statement_totals SET ready_at = NULL",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await owner.execute(change)
