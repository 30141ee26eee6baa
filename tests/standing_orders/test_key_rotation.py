"""A key of fingerprints is replaced and then retired: orders that it has stamped go on, and nobody is paid twice."""

from datetime import timedelta

import pytest

from ledger.fingerprints import Fingerprints
from standing_orders.calendar import Frequency
from standing_orders.standing_order import StandingOrder
from tests.connections import Connection
from tests.orders import FINGERPRINT_KEY, NEXT_FINGERPRINT_KEY, Holder, deposited
from tests.standing_orders.scene import REVIEW_FROM_MAJOR, Scene

OLD_KEY, NEW_KEY = NEXT_FINGERPRINT_KEY, FINGERPRINT_KEY
# The steps of docs/operate/running.md.
BEFORE = Fingerprints([OLD_KEY])
BOTH = Fingerprints([NEW_KEY, OLD_KEY])
RETIRED = Fingerprints([NEW_KEY], retired=[OLD_KEY])
PAID = ("paid", None)


@pytest.fixture
def scene(scene: Scene) -> Scene:
    scene.fingerprints = BEFORE
    return scene


@pytest.fixture
async def payer(scene: Scene) -> Holder:
    return await scene.holder(100_000)


@pytest.fixture
async def payee(scene: Scene) -> Holder:
    return await scene.holder()


async def rotated(scene: Scene) -> None:
    """The new key is in front, a sweep has run, and the old key is retired."""
    scene.fingerprints = BOTH
    await scene.sweep()
    scene.fingerprints = RETIRED


async def yearly(scene: Scene, payer: Holder, payee: Holder) -> StandingOrder:
    first_date = await scene.today() + timedelta(days=30)
    return await scene.ordered(payer, payee, frequency=Frequency.YEARLY, first_date=first_date)


async def test_an_order_without_a_date_meanwhile_is_paid_after_its_key_was_retired(
    scene: Scene, payer: Holder, payee: Holder
) -> None:
    made = await yearly(scene, payer, payee)
    await rotated(scene)
    scene.later = timedelta(days=30)
    assert (await scene.sweep()).paid == 1
    assert await scene.states(made) == [PAID]


async def test_a_paused_order_is_paid_after_its_key_was_retired_and_it_was_resumed(
    scene: Scene, payer: Holder, payee: Holder
) -> None:
    made = await yearly(scene, payer, payee)
    await scene.orders.pause(payer.id, made.id)
    await rotated(scene)
    await scene.orders.resume(payer.id, made.id)
    scene.later = timedelta(days=30)
    assert (await scene.sweep()).paid == 1


async def test_a_date_that_waits_for_money_is_paid_after_its_key_was_retired(scene: Scene, payee: Holder) -> None:
    poor = await scene.holder(50)
    made = await scene.ordered(poor, payee, frequency=Frequency.ONCE, retry_days=2)
    await scene.sweep()
    await rotated(scene)
    await deposited(scene.book, poor.id, poor.account_id, 50)
    scene.later = timedelta(hours=1)
    assert (await scene.sweep()).paid == 1
    assert await scene.states(made) == [PAID]


async def test_a_date_whose_workflow_was_never_started_is_started_after_its_key_was_retired(
    scene: Scene, payer: Holder, payee: Holder
) -> None:
    await scene.ordered(payer, payee, frequency=Frequency.ONCE, amount_minor=REVIEW_FROM_MAJOR * 100)
    assert (await scene.sweep()).under_way == 1
    await rotated(scene)
    (order,) = await scene.payments().to_start(10)
    RETIRED.check(order)
    assert RETIRED.may_open(order.fingerprint)


async def test_a_date_that_was_paid_under_a_retired_key_is_not_paid_again(
    scene: Scene, payer: Holder, payee: Holder, owner: Connection
) -> None:
    made = await scene.ordered(payer, payee, frequency=Frequency.ONCE)
    await scene.sweep()
    await owner.execute("ALTER TABLE standing_order_occurrences DISABLE TRIGGER USER")
    await owner.execute("UPDATE standing_order_occurrences SET state = 'due', next_try_at = now(), transfer_id = NULL")
    await owner.execute("ALTER TABLE standing_order_occurrences ENABLE TRIGGER USER")
    await rotated(scene)
    await scene.sweep()
    assert await scene.states(made) == [PAID]
    assert await scene.balance(payee) == 100


async def test_an_order_stamped_by_a_key_that_is_retired_at_once_pays_nothing(
    scene: Scene, payer: Holder, payee: Holder
) -> None:
    made = await scene.ordered(payer, payee, frequency=Frequency.ONCE)
    scene.fingerprints = RETIRED
    assert (await scene.sweep()).paid == 0
    assert await scene.states(made) == []
    # Its owner changes it, and so confirms it.
    await scene.orders.change(payer.id, made.id, {"note": "Rent"})
    assert (await scene.sweep()).paid == 1


async def test_an_altered_order_is_not_stamped_anew(
    scene: Scene, payer: Holder, payee: Holder, owner: Connection
) -> None:
    made = await scene.ordered(payer, payee, frequency=Frequency.ONCE)
    thief = await scene.holder()
    await owner.execute("UPDATE standing_orders SET destination_account_id = $1", thief.account_id)
    await rotated(scene)
    await scene.sweep()
    assert await scene.states(made) == []
    assert await scene.balance(thief) == 0
