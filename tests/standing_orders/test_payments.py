"""What is due is paid once: with sweeps at the same time, without money, after days in which nothing ran."""

import asyncio
from datetime import timedelta

import pytest

from ledger.ids import transfer_id_for
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State
from ledger.workflow_ids import standing_order_key
from standing_orders.calendar import Frequency, HolidayCalendar, HolidayRule, RunHours
from standing_orders.postgres.late import LATE_SECONDS, late_payments
from standing_orders.standing_order import OutageRule, StandingOrderState
from tests.connections import Connection
from tests.orders import completed, deposited, order
from tests.standing_orders.scene import REVIEW_FROM_MAJOR, SWEEP, Scene

PAID = ("paid", None)
REVIEWED = REVIEW_FROM_MAJOR * 100


async def test_a_date_that_has_come_is_paid_by_the_transfer_of_its_key(
    scene: Scene, transfer_reads: TransferReads
) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, note="Rent")
    report = await scene.sweep()
    assert (report.paid, report.left) == (1, 0)
    (paid,) = await scene.past(made)
    found = await transfer_reads.visible(payer.id, transfer_id_for(payer.id, f"standing/{made.id}/{paid.date}"))
    assert found is not None
    assert (found.id, found.state, found.amount_minor, found.order.note) == (
        paid.transfer_id,
        State.COMPLETED,
        100,
        "Rent",
    )
    assert found.workflow_id == SWEEP, "operators find it where it was paid"
    again = await scene.sweep()
    assert again.paid == 0
    assert (await scene.balance(payer), await scene.balance(payee)) == (900, 100)


async def test_sweeps_at_the_same_time_pay_nobody_twice(scene: Scene) -> None:
    payee = await scene.holder()
    payers = [await scene.holder(500) for _ in range(3)]
    orders = [await scene.ordered(payer, payee) for payer in payers for _ in range(4)]
    reports = await asyncio.gather(*(scene.sweep(at_once=size) for size in (1, 2, 3, 5)))
    assert sum(report.paid for report in reports) == len(orders)
    assert [await scene.balance(payer) for payer in payers] == [100, 100, 100]
    assert await scene.balance(payee) == 1_200


async def test_an_occurrence_that_is_set_back_by_hand_is_not_paid_again(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee)
    await scene.sweep()
    await owner.execute("ALTER TABLE standing_order_occurrences DISABLE TRIGGER USER")
    await owner.execute("UPDATE standing_order_occurrences SET state = 'due', next_try_at = now(), transfer_id = NULL")
    await owner.execute("ALTER TABLE standing_order_occurrences ENABLE TRIGGER USER")
    await scene.sweep()
    assert await scene.states(made) == [PAID]
    assert await scene.balance(payee) == 100


@pytest.mark.parametrize("table", ["standing_orders", "standing_order_occurrences"])
async def test_a_row_that_was_written_past_the_api_pays_nothing(scene: Scene, owner: Connection, table: str) -> None:
    payer, payee, thief = await scene.holder(1_000), await scene.holder(), await scene.holder()
    await scene.ordered(payer, payee)
    if table != "standing_orders":
        assert await scene.dates().fall_due(set()) == 1
    await owner.execute(f"UPDATE {table} SET destination_account_id = $1", thief.account_id)
    report = await scene.sweep()
    assert report.paid == 0
    assert await scene.balance(thief) == 0


OUTAGES: dict[OutageRule, list[tuple[str, str | None]]] = {
    OutageRule.PAY_EACH: [PAID, PAID, PAID, PAID],
    OutageRule.PAY_LATEST: [PAID, ("missed", "outage"), ("missed", "outage"), PAID],
    OutageRule.MISS: [PAID, ("missed", "outage"), ("missed", "outage"), PAID],
}


@pytest.mark.parametrize("rule", OutageRule)
async def test_after_days_down_each_date_is_paid_once_or_named_as_missed(
    scene: Scene, rule: OutageRule, owner: Connection
) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, after_outage=rule)
    await scene.sweep()
    scene.later = timedelta(days=3)
    await scene.sweep()
    await scene.sweep()
    assert await scene.states(made) == OUTAGES[rule]
    assert await scene.balance(payee) == 100 * OUTAGES[rule].count(PAID)
    # Each date that was missed is told once.
    told = await owner.fetch("SELECT body FROM notifications WHERE occasion LIKE $1 || '/%/missed'", made.id)
    missed = OUTAGES[rule].count(("missed", "outage"))
    assert ["was missed. Nothing ran on its day" in each["body"] for each in told] == [True] * missed


async def test_a_monthly_date_in_an_outage_is_paid_late_or_missed_by_the_orders_choice(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    orders = {
        rule: await scene.ordered(payer, payee, frequency=Frequency.MONTHLY, after_outage=rule) for rule in OutageRule
    }
    scene.later = timedelta(days=3)
    await scene.sweep()
    assert [await scene.states(orders[rule]) for rule in OutageRule] == [[PAID], [PAID], [("missed", "outage")]]


async def test_a_payment_without_money_is_tried_again_and_paid_once(scene: Scene) -> None:
    payer, payee = await scene.holder(99), await scene.holder()
    made = await scene.ordered(payer, payee, frequency=Frequency.ONCE, retry_days=1)
    assert (await scene.sweep()).waiting == 1
    assert await scene.states(made) == [("due", "insufficient_funds")]
    assert (await scene.sweep()).waiting == 0  # not before its next hour
    assert await scene.balance(payer) == 99  # never a part
    await deposited(scene.book, payer.id, payer.account_id, 1)
    scene.later = timedelta(hours=1)
    assert (await scene.sweep()).paid == 1
    assert await scene.states(made) == [PAID]
    assert (await scene.past(made))[0].tries == 2


async def test_a_payment_without_money_is_missed_at_its_deadline_with_a_message(
    scene: Scene, owner: Connection
) -> None:
    payer, payee = await scene.holder(99), await scene.holder()
    made = await scene.ordered(payer, payee, frequency=Frequency.ONCE, retry_days=1)
    await scene.sweep()
    scene.later = timedelta(days=2)
    assert (await scene.sweep()).missed == 1
    assert await scene.states(made) == [("missed", "insufficient_funds")]
    (told,) = await owner.fetch("SELECT * FROM notifications WHERE occasion LIKE 'sto\\_%'")
    assert told["customer_id"] == payer.id
    assert "was missed" in told["body"]
    types = await owner.fetch("SELECT type FROM outbox_events WHERE type LIKE 'standing\\_%' ORDER BY id")
    assert [row["type"] for row in types] == [
        "standing_order.created",
        "standing_order.completed",
        "standing_order.missed",
    ]
    assert await owner.fetchval("SELECT count(*) FROM transfers WHERE kind = 'transfer'") == 0


async def test_a_refusal_that_stays_ends_the_occurrence_at_once(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, retry_days=5)
    await owner.execute("UPDATE accounts SET status = 'closed' WHERE id = $1", payee.account_id)
    assert (await scene.sweep()).failed == 1
    assert await scene.states(made) == [("failed", "account_closed")]
    body = await owner.fetchval("SELECT body FROM notifications WHERE occasion LIKE 'sto%'")
    assert "It could not be delivered." in body


async def test_a_frozen_account_is_tried_again(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, retry_days=1)
    await owner.execute("UPDATE accounts SET status = 'frozen' WHERE id = $1", payee.account_id)
    await scene.sweep()
    assert await scene.states(made) == [("due", "account_frozen")]
    await owner.execute("UPDATE accounts SET status = 'active' WHERE id = $1", payee.account_id)
    scene.later = timedelta(hours=1)
    await scene.sweep()
    assert (await scene.states(made))[0] == PAID


async def test_the_money_above_the_rest_is_paid_and_nothing_above_is_skipped(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, above_minor=300)
    await scene.sweep()
    scene.later = timedelta(days=1)
    await scene.sweep()
    assert await scene.states(made) == [PAID, ("skipped", "nothing_above")]
    assert (await scene.balance(payer), await scene.balance(payee)) == (300, 700)
    assert [each.amount_minor for each in await scene.past(made)] == [700, None]


async def test_payments_of_one_turn_see_what_those_before_them_take(scene: Scene) -> None:
    payer, payee = await scene.holder(150), await scene.holder()
    orders = [await scene.ordered(payer, payee, retry_days=1) for _ in range(2)]
    report = await scene.sweep()
    assert (report.paid, report.waiting) == (1, 1)
    states = [await scene.states(made) for made in orders]
    assert sorted(state for ((state, _),) in states) == ["due", "paid"]
    assert await scene.balance(payer) == 50


async def test_a_payment_that_screening_stops_goes_on_as_an_ordinary_transfer(scene: Scene) -> None:
    payer, payee = await scene.holder(REVIEWED), await scene.holder()
    made = await scene.ordered(payer, payee, frequency=Frequency.ONCE, amount_minor=REVIEWED)
    assert (await scene.sweep()).under_way == 1
    (started,) = await scene.payments().to_start(10)
    (under_way,) = await scene.past(made)
    assert (started.transfer_id, started.amount_minor) == (under_way.transfer_id, REVIEWED)
    assert (await scene.sweep()).paid == 0
    assert len(await scene.payments().to_start(10)) == 1  # until its workflow has written the row
    await completed(scene.book, started)
    assert await scene.payments().to_start(10) == []
    assert (await scene.sweep()).paid == 1
    assert await scene.states(made) == [PAID]


async def test_money_that_waits_for_a_review_delays_no_other_payment_for_good(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(REVIEWED), await scene.holder()
    reviewed = await scene.ordered(payer, payee, frequency=Frequency.ONCE, amount_minor=REVIEWED)
    small = await scene.ordered(payer, payee, frequency=Frequency.ONCE)
    await scene.dates().fall_due(set())
    first = "UPDATE standing_order_occurrences SET next_try_at = next_try_at - interval '1 hour' WHERE order_id = $1"
    await owner.execute(first, reviewed.id)
    assert (await scene.sweep()).left == 1
    await scene.sweep()
    assert [await scene.states(made) for made in (reviewed, small)] == [[("under_way", None)], [PAID]]


async def test_a_key_that_the_customer_used_for_something_else_pays_nobody_else(scene: Scene) -> None:
    payer, payee, friend = await scene.holder(2 * REVIEWED), await scene.holder(), await scene.holder()
    posted = await scene.ordered(payer, payee, frequency=Frequency.ONCE)
    reviewed = await scene.ordered(payer, payee, frequency=Frequency.ONCE, amount_minor=REVIEWED)
    await scene.sweep()  # both dates fall due; the second one waits for its workflow
    scene.later = timedelta(0)
    taken = order(
        payer.id, payer.account_id, friend.account_id, 5, key=standing_order_key(reviewed.id, reviewed.first_date)
    )
    await completed(scene.book, taken)
    third = await scene.ordered(payer, payee, first_date=await scene.today() + timedelta(days=1), count=1)
    key = standing_order_key(third.id, third.first_date)
    await completed(scene.book, order(payer.id, payer.account_id, friend.account_id, 5, key=key))
    scene.later = timedelta(days=1)
    await scene.sweep()
    assert await scene.states(posted) == [PAID]
    assert [await scene.states(made) for made in (reviewed, third)] == [[("failed", "idempotency_key_reused")]] * 2
    assert await scene.balance(payee) == 100


async def test_an_account_that_somebody_holds_delays_its_own_payments_only(scene: Scene, owner: Connection) -> None:
    held, free, payee = await scene.holder(1_000), await scene.holder(1_000), await scene.holder()
    other = await scene.holder()
    waiting, paid = await scene.ordered(held, payee), await scene.ordered(free, other)
    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE", held.account_id)
        report = await scene.sweep()
        assert (report.paid, report.left) == (1, 1)
        assert (await scene.states(waiting), await scene.states(paid)) == ([("due", None)], [PAID])
    assert (await scene.sweep()).paid == 1


async def test_a_holiday_is_paid_on_the_day_that_the_order_says(scene: Scene) -> None:
    today = await scene.today()
    scene.holidays = HolidayCalendar(dates=frozenset({today}))
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = {rule: await scene.ordered(payer, payee, frequency=Frequency.ONCE, holidays=rule) for rule in HolidayRule}
    await scene.sweep()
    assert [await scene.states(made[rule]) for rule in HolidayRule] == [[PAID], [PAID], []]
    scene.later = timedelta(days=1)
    await scene.sweep()
    (late,) = await scene.past(made[HolidayRule.AFTER])
    assert (late.date, late.paid_on, late.state) == (today, today + timedelta(days=1), "paid")


async def test_an_order_is_completed_with_its_last_date(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, count=2)
    scene.later = timedelta(days=5)
    await scene.sweep()
    found = await scene.orders.find(payer.id, made.id)
    assert (found.state, found.next_date) == (StandingOrderState.COMPLETED, None)
    assert await scene.states(made) == [PAID, PAID]


async def test_a_cancellation_beside_a_sweep_either_stops_a_payment_or_finds_it_made(scene: Scene) -> None:
    payer, payee = await scene.holder(10_000), await scene.holder()
    orders = [await scene.ordered(payer, payee) for _ in range(20)]
    await asyncio.gather(scene.sweep(at_once=3), *(scene.orders.cancel(payer.id, made.id) for made in orders))
    found = [await scene.states(made) for made in orders]
    states = [state for each in found for state, _ in each]
    assert set(states) <= {"paid", "skipped"}
    assert await scene.balance(payee) == 100 * states.count("paid")
    scene.later = timedelta(days=2)
    await scene.sweep()
    assert await scene.balance(payee) == 100 * states.count("paid")


async def test_an_order_waits_for_its_hour(scene: Scene) -> None:
    now = await scene.today()
    scene.hours = RunHours((0,))
    payer, payee = await scene.holder(1_000), await scene.holder()
    made = await scene.ordered(payer, payee, first_date=now + timedelta(days=1))
    await scene.sweep()
    assert await scene.states(made) == []
    found = await scene.orders.find(payer.id, made.id)
    assert found.next_at is not None
    assert (found.next_at.date(), found.next_at.hour) == (now + timedelta(days=1), 0)


async def test_a_payment_that_was_not_tried_in_time_is_late(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    await scene.ordered(payer, payee)
    late = await late_payments(scene.database)
    is_past_the_limit = late.oldest_seconds > LATE_SECONDS  # the day is not older at its very beginning
    assert late.payments == (1 if is_past_the_limit else 0)
    await scene.sweep()
    assert (await late_payments(scene.database)).payments == 0
