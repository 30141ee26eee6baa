"""The figures of a period: what was created in it, put together from parts as from the whole."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD
from ledger.postgres.book import Book
from ledger.refusals import InsufficientFunds
from ledger.transfers import Ending, State, Step
from staff.period_stats import period as parts
from staff.period_stats.period import Period, PeriodTooLarge, Volume, parts_of, percentiles
from staff.period_stats.postgres import PeriodReads
from tests.connections import Connection
from tests.orders import completed, funded, holder, order

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_a_period_counts_what_was_created_in_it_and_nothing_else(
    database: Database, customers: Customers, book: Book, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = await funded(customers, book, 10_000), await holder(customers)
    euros = await funded(customers, book, 300, "EUR")
    for amount in (1_000, 500):
        await completed(book, order(ada.id, ada.account_id, ben.account_id, amount))
    await completed(book, order(euros.id, euros.account_id, WORLD, 200, currency="EUR"))
    poor = order(ben.id, ben.account_id, ada.account_id, 9_999)
    await book.open_transfer(poor)
    with pytest.raises(InsufficientFunds) as refused:
        await book.debit(Step(poor.transfer_id, 1))
    await book.end(Ending(Step(poor.transfer_id, 1), refused.value.failure), State.FAILED)
    under_way = order(ada.id, ada.account_id, ben.account_id, 700)
    await book.open_transfer(under_way)
    await book.debit(Step(under_way.transfer_id, 1))
    # Everything lies in the past, an hour apart, and what completed took 40 ms; deposits are the first two.
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        """
        UPDATE transfers t SET created_at = $1::timestamptz + n * interval '1 hour',
            completed_at = CASE WHEN completed_at IS NULL THEN NULL
                ELSE $1::timestamptz + n * interval '1 hour' + interval '40 milliseconds' END
        FROM (SELECT id, row_number() OVER (ORDER BY created_at) - 1 AS n FROM transfers) numbered
        WHERE t.id = numbered.id
        """,
        NOON,
    )
    reads = PeriodReads(database)
    whole = await reads.read(Period(NOON, NOON + 12 * HOUR))
    assert whole.transfers == 7
    assert {state: n for state, n in whole.by_state.items() if n} == {
        State.COMPLETED: 5,
        State.FAILED: 1,
        State.DEBITED: 1,
    }
    assert whole.volume == [Volume("EUR", 2, 500), Volume("USD", 3, 11_500)]
    assert whole.failures == {"insufficient_funds": 1}
    assert whole.latency_ms == {50: 40, 95: 40, 99: 40}
    monkeypatch.setattr(parts, "TRANSFERS_AT_ONCE", 2)
    assert await reads.read(Period(NOON, NOON + 12 * HOUR)) == whole
    # From the first moment on, and before the last.
    some = await reads.read(Period(NOON + 2 * HOUR, NOON + 4 * HOUR))
    assert (some.transfers, some.volume) == (2, [Volume("USD", 2, 1_500)])
    nothing = await reads.read(Period(NOON - HOUR, NOON))
    assert (nothing.transfers, nothing.customers, nothing.latency_ms) == (0, 0, None)
    now = datetime.now(UTC)
    assert (await reads.read(Period(now - HOUR, now + HOUR))).customers == 3


def test_a_period_is_read_in_parts_of_about_equal_size_and_refused_when_it_holds_too_much() -> None:
    period = Period(NOON + HOUR / 2, NOON + 3 * HOUR)
    hours = [(NOON + n * HOUR, 30_000) for n in range(3)]
    found = list(parts_of(period, hours))
    assert [(each.begins, each.ends) for each in found] == [
        (NOON + HOUR / 2, NOON + HOUR),
        (NOON + HOUR, NOON + 2 * HOUR),
        (NOON + 2 * HOUR, NOON + 3 * HOUR),
    ]
    assert list(parts_of(period, [])) == [period]
    with pytest.raises(PeriodTooLarge, match="2,000,001 transfers"):
        list(parts_of(period, [(NOON, 2_000_001)]))


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    assert percentiles(Counter(range(1, 101))) == {50: 50, 95: 95, 99: 99}
    assert percentiles({7: 1}) == {50: 7, 95: 7, 99: 7}
    assert percentiles({}) is None
