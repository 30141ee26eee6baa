"""Many payments that are due at once: in time, and each once. The figure is printed."""

from time import monotonic

import pytest

from ledger.ids import new_standing_order_id
from standing_orders.standing_order import stamped_contents
from tests.orders import FINGERPRINTS, deposited
from tests.standing_orders.scene import Scene

# Copies of one order, each with a stamp of its own.
_COPY = """
    INSERT INTO standing_orders (id, owner_id, source_account_id, destination_account_id, currency, amount_minor,
        frequency, first_date, every, last_day, time_zone, holidays, after_outage, retry_days, next_number, next_date,
        next_at, stamp)
    SELECT made.id, o.owner_id, o.source_account_id, o.destination_account_id, o.currency, o.amount_minor, o.frequency,
        o.first_date, o.every, o.last_day, o.time_zone, o.holidays, o.after_outage, o.retry_days, o.next_number,
        o.next_date, o.next_at, made.stamp
    FROM unnest($2::text[], $3::text[]) AS made (id, stamp) JOIN standing_orders o ON o.id = $1
"""
PAYERS = 20
TARGET_SECONDS = 60


async def _due(scene: Scene, payers: int, each: int) -> int:
    """So many orders of so many payers, all due now; how many."""
    payees = [await scene.holder() for _ in range(payers)]
    for payee in payees:
        payer = await scene.holder()
        for _ in range(each // 5_000 + 1):
            await deposited(scene.book, payer.id, payer.account_id, 500_000)
        first = await scene.ordered(payer, payee)
        ids = [new_standing_order_id() for _ in range(each - 1)]
        stamps = [FINGERPRINTS.stamp(stamped_contents(id_, payer.id, payer.account_id, "USD", first)) for id_ in ids]
        async with scene.database.connection() as connection:
            await connection.execute(_COPY, first.id, ids, stamps)
    return payers * each


async def _swept(scene: Scene, due: int) -> float:
    began = monotonic()
    report = await scene.sweep()
    seconds = monotonic() - began
    assert (report.paid, report.left) == (due, 0)
    async with scene.database.connection() as connection:
        moved = await connection.fetchval(
            "SELECT count(*) FROM transfers WHERE idempotency_key LIKE 'standing/%' AND state = 'completed'"
        )
    assert moved == due
    return seconds


async def test_hundreds_that_are_due_at_once_are_paid_in_one_sweep(scene: Scene) -> None:
    await _swept(scene, await _due(scene, payers=3, each=200))


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_ten_thousand_that_are_due_at_once_are_paid_within_a_minute(scene: Scene) -> None:
    due = await _due(scene, PAYERS, each=10_000 // PAYERS)
    seconds = await _swept(scene, due)
    print(f"{due:,} payments that were due at once took {seconds:.1f} s, {due / seconds:,.0f} a second")
    assert seconds <= TARGET_SECONDS
