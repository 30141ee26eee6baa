"""Statements that each month's end brings, once for each account and month, whatever is late or runs twice."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import AccountId
from ledger.postgres.book import Book
from notifications.postgres import Notifications
from statements.postgres import monthly_sweep
from statements.postgres.account_statements import AccountStatements
from statements.postgres.monthly_sweep import make_monthly
from statements.statement_period import TimeZones, day_begins, last_month, month_of, next_month, zones_in
from tests.connections import Connection
from tests.orders import funded, holder

ZONE = "Africa/Lagos"
ALL = AccountId("")


def nobody_asks() -> None:
    """Whoever reports progress."""


async def months_of(statements: AccountStatements, account_id: AccountId) -> list[str]:
    page = await statements.of_account(account_id, 1_000, 50)
    return [f"{each.month:%Y-%m}" for each in reversed(page.items) if each.month]


async def test_a_month_has_one_statement_and_one_message_however_often_the_sweep_runs(
    database: Database, customers: Customers, book: Book, statements: AccountStatements, owner: Connection
) -> None:
    ada, fresh, unused = await funded(customers, book, 500), await funded(customers, book, 5), await holder(customers)
    await owner.execute("UPDATE accounts SET created_at = now() - interval '2 months' WHERE id <> $1", fresh.account_id)
    runs = await asyncio.gather(*(make_monthly(statements, ALL, nobody_asks) for _ in range(2)))
    assert sum(run.made for run in runs) == 1
    assert (await make_monthly(statements, ALL, nobody_asks)).made == 0
    last = last_month(datetime.now(UTC), ZONE)
    assert await months_of(statements, ada.account_id) == [f"{last:%Y-%m}"]
    assert await months_of(statements, fresh.account_id) == await months_of(statements, unused.account_id) == []
    told = (await Notifications(database).of_customer(ada.id, None, 10)).items
    assert len([each for each in told if each.occasion == "statement/1"]) == 1


async def test_each_month_of_an_outage_gets_its_statement_and_none_has_a_gap(
    customers: Customers, book: Book, statements: AccountStatements, owner: Connection
) -> None:
    ada = await funded(customers, book, 500)
    await owner.execute("UPDATE accounts SET created_at = now() - interval '1 year'")
    last = last_month(datetime.now(UTC), ZONE)
    first = last
    for _ in range(3):
        first = month_of(first - timedelta(days=1))
    assert await statements.make(
        ada.account_id, day_begins(first, ZONE), day_begins(next_month(first), ZONE), month=first
    )
    assert (await make_monthly(statements, ALL, nobody_asks)).made == 3
    found = list(reversed((await statements.of_account(ada.account_id, 1_000, 50)).items))
    assert [each.month for each in found][-1] == last
    for earlier, later in pairwise(found):
        assert (later.begins_at, later.opening_minor, later.from_version) == (
            earlier.ends_at,
            earlier.closing_minor,
            earlier.to_version + 1,
        )


async def test_a_sweep_goes_on_behind_its_last_account_and_leaves_a_held_one_to_the_next(
    customers: Customers,
    book: Book,
    statements: AccountStatements,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monthly_sweep, "ACCOUNTS_IN_A_STEP", 1)
    ids = sorted([(await funded(customers, book, 500)).account_id for _ in range(2)])
    await owner.execute("UPDATE accounts SET created_at = now() - interval '2 months'")
    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE", ids[0])
        held = await make_monthly(statements, ALL, nobody_asks)
        assert (held.made, held.last, held.has_more) == (0, ids[0], True)
        second = await make_monthly(statements, held.last, nobody_asks)
        assert (second.made, second.last) == (1, ids[1])
    assert (await make_monthly(statements, ALL, nobody_asks)).made == 1


def test_a_month_begins_where_the_days_of_its_zone_begin() -> None:
    zones = zones_in("UTC", '{"NGN": "Africa/Lagos", "INR": "Asia/Kolkata"}')
    assert zones == TimeZones("UTC", {"NGN": "Africa/Lagos", "INR": "Asia/Kolkata"})
    at = datetime(2026, 10, 31, 20, tzinfo=UTC)
    assert [f"{last_month(at, zones.of(code)):%Y-%m}" for code in ("USD", "NGN", "INR")] == [
        "2026-09",
        "2026-09",
        "2026-10",
    ]
    assert day_begins(date(2026, 11, 1), "Asia/Kolkata") == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    for wrong in ('{"NGN": "Lagos"}', '{"XXX": "UTC"}', "[]", "{"):
        with pytest.raises(ValueError, match=r"REMIT_TIME_ZONE|Expecting"):
            zones_in("UTC", wrong)
