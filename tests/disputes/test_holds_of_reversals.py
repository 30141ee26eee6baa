"""Holds of reversals that are compensated, and of several disputes about one transfer."""

import asyncio

import pytest

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import (
    DisputeRuling,
)
from disputes.postgres.late_reversals import LateReversals
from ledger.postgres.book import Book
from ledger.transfers import Ending, Step
from staff.postgres.reversal_record import record_reversal
from tests.disputes.disputed_payment import PAID, Scene
from tests.orders import (
    FINGERPRINTS,
    completed,
    deposited,
    later_attempt,
    reversal,
)


@pytest.fixture
async def scene(database: Database, book: Book, customers: Customers) -> Scene:
    return await Scene.played(database, book, customers)


async def test_a_reversal_that_is_compensated_holds_again_what_its_debit_used(scene: Scene) -> None:
    await deposited(scene.book, scene.payee.id, scene.payee.account_id, 100)
    dispute = await scene.opened()
    await scene.held(dispute)
    await scene.ruled(dispute, DisputeRuling.REVERSE, 250)
    award = await scene.awarded(dispute)
    await scene.book.open_transfer(award)
    await scene.book.debit(Step(award.transfer_id, 1))
    assert await scene.amounts() == (PAID - 150, 0)
    for book in (scene.book, Book(scene.database, FINGERPRINTS, record_reversal)):
        await book.refund(Ending(Step(award.transfer_id, 1), None))
        assert await scene.amounts() == (PAID + 100, 250)
    await scene.disputes.close(dispute.id, impossible=False)
    assert not await scene.spends(PAID - 149)
    assert await scene.spends(PAID - 150)
    await completed(scene.book, later_attempt(award, 2))
    assert await LateReversals(scene.database).end_all() == [dispute.id]
    assert await scene.amounts() == (0, 0)


async def test_a_refund_holds_again_nothing_that_its_own_debit_did_not_use(scene: Scene) -> None:
    assert await scene.spends(500)
    dispute = await scene.opened()
    assert await scene.held(dispute) == 100
    used = reversal(scene.paid, scene.payee.id, 100)
    await scene.book.open_transfer(used)
    await scene.book.debit(Step(used.transfer_id, 1))
    await deposited(scene.book, scene.payee.id, scene.payee.account_id, 100)
    unused = reversal(scene.paid, scene.payee.id, 100)
    await scene.book.open_transfer(unused)
    await scene.book.debit(Step(unused.transfer_id, 1))
    await scene.book.credit(Step(used.transfer_id, 1))
    await scene.book.refund(Ending(Step(unused.transfer_id, 1), None))
    assert await scene.amounts() == (100, 0)
    await scene.ruled(dispute, DisputeRuling.REJECT)


@pytest.mark.parametrize("ending", ["rejected", "released"])
async def test_a_refund_does_not_hold_again_what_was_released_meanwhile(scene: Scene, ending: str) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    given_back = reversal(scene.paid, scene.payee.id, 200)
    await scene.book.open_transfer(given_back)
    await scene.book.debit(Step(given_back.transfer_id, 1))
    if ending == "rejected":
        await scene.ruled(dispute, DisputeRuling.REJECT)
    else:
        await scene.holds.release(dispute.id, scene.olu, "ticket 4711")
    await scene.book.refund(Ending(Step(given_back.transfer_id, 1), None))
    assert await scene.amounts() == (PAID, 0)


async def test_a_dispute_releases_nothing_that_another_one_of_the_transfer_keeps(scene: Scene) -> None:
    first = await scene.opened()
    await scene.held(first)
    award = await scene.failed(first, 30)
    second = await scene.opened()
    assert await scene.held(second) == PAID
    assert await scene.held(first) == PAID
    await scene.holds.release(first.id, scene.olu, "ticket 4711")
    assert await scene.amounts() == (PAID, PAID)
    await completed(scene.book, later_attempt(award, 2))
    assert await LateReversals(scene.database).end_all() == [first.id]
    assert await scene.amounts() == (PAID - 30, PAID - 30)
    await scene.ruled(second, DisputeRuling.REJECT)
    assert await scene.amounts() == (PAID - 30, 0)


async def test_of_disputes_about_one_transfer_a_failed_one_keeps_its_amount_until_it_is_released(scene: Scene) -> None:
    failed = []
    for amount in (30, 50):
        dispute = await scene.opened()
        await scene.held(dispute)
        await scene.failed(dispute, amount)
        failed.append(dispute)
    assert await scene.amounts() == (PAID, 80)
    third = await scene.opened()
    await scene.held(third)
    await scene.holds.release(third.id, scene.olu, "ticket 4711")
    assert await scene.amounts() == (PAID, 80)
    await scene.disputes.expire(third.id)
    await scene.holds.release(failed[0].id, scene.olu, "ticket 4711")
    assert await scene.amounts() == (PAID, 50)
    await scene.holds.release(failed[1].id, scene.olu, "ticket 4711")
    assert await scene.amounts() == (PAID, 0)


async def test_a_later_dispute_finds_nothing_left_of_what_an_earlier_one_held_and_used(scene: Scene) -> None:
    first = await scene.opened()
    await scene.held(first)
    await scene.ruled(first, DisputeRuling.REVERSE, 250)
    await completed(scene.book, await scene.awarded(first))
    await scene.disputes.close(first.id, impossible=False)
    second = await scene.opened()
    assert await scene.spends(200)
    assert await scene.held(second) == 150
    given_back = reversal(scene.paid, scene.payee.id, 150)
    await scene.book.open_transfer(given_back)
    await scene.book.debit(Step(given_back.transfer_id, 1))
    assert await scene.amounts() == (0, 0)
    await scene.book.refund(Ending(Step(given_back.transfer_id, 1), None))
    assert await scene.amounts() == (150, 150)
    await scene.ruled(second, DisputeRuling.REJECT)
    assert await scene.amounts() == (150, 0)


async def test_a_dispute_for_which_nothing_was_held_keeps_nothing_of_anothers_hold(scene: Scene) -> None:
    first = await scene.opened()
    await scene.held(first)
    await scene.failed(first, 30)
    await scene.opened()
    await scene.holds.release(first.id, scene.olu, "ticket 4711")
    assert await scene.amounts() == (PAID, 0)


@pytest.mark.parametrize("first_refunded", [0, 1])
async def test_of_two_reversals_that_are_compensated_as_much_is_held_again_as_before_in_either_order(
    scene: Scene, first_refunded: int
) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    given_back = [reversal(scene.paid, scene.payee.id, amount) for amount in (400, 200)]
    for each in given_back:
        await scene.book.open_transfer(each)
        await scene.book.debit(Step(each.transfer_id, 1))
    assert await scene.amounts() == (0, 0)
    for each in (given_back[first_refunded], given_back[1 - first_refunded]):
        await scene.book.refund(Ending(Step(each.transfer_id, 1), None))
        balance, held = await scene.amounts()
        assert held <= balance
    assert await scene.amounts() == (PAID, PAID)


async def test_of_two_disputes_about_one_transfer_that_end_at_once_none_leaves_a_hold(scene: Scene) -> None:
    first = await scene.opened()
    await scene.held(first)
    award = await scene.failed(first, 30)
    second = await scene.opened()
    await scene.held(second)
    await completed(scene.book, later_attempt(award, 2))
    late = LateReversals(scene.database)
    await asyncio.gather(late.end_of(award.transfer_id), scene.disputes.expire(second.id))
    assert await scene.amounts() == (PAID - 30, 0)
