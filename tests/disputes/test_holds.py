"""The disputed amount can be held on the payee's account: who may, how much, and what releases or uses it."""

import asyncio

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import (
    DisputeClosed,
    DisputeRuling,
    DisputeState,
    NothingToHold,
)
from disputes.postgres.late_reversals import LateReversals
from ledger.ids import WORLD
from ledger.postgres.book import Book
from ledger.refusals import InsufficientFunds, MoreHeldThanBalance
from ledger.transfers import Step
from staff.permissions import Action, Actor, ConflictOfInterest, NotStaff, Role
from staff.postgres.actions import ActionSearch, StaffActions
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.disputes.disputed_payment import PAID, Scene
from tests.orders import (
    FINGERPRINTS,
    completed,
    deposited,
    holder,
    later_attempt,
    order,
    promoted,
    reversal,
)


@pytest.fixture
async def scene(database: Database, book: Book, customers: Customers) -> Scene:
    return await Scene.played(database, book, customers)


async def test_a_payee_spends_everything_but_what_is_held(scene: Scene) -> None:
    await deposited(scene.book, scene.payee.id, scene.payee.account_id, 100)
    assert await scene.held(await scene.opened()) == PAID
    assert not await scene.spends(101)
    assert await scene.spends(100)
    assert await scene.amounts() == (PAID, PAID)


async def test_a_hold_that_came_after_the_row_was_cached_is_not_overlooked(scene: Scene, database_url: str) -> None:
    await deposited(scene.book, scene.payee.id, scene.payee.account_id, 100)
    wanted = order(scene.payee.id, scene.payee.account_id, WORLD, 200)
    await scene.book.open_transfer(wanted)
    await scene.held(await scene.opened())
    with pytest.raises(InsufficientFunds, match=r"\$1\.00"):
        await scene.book.debit(Step(wanted.transfer_id, 1))


async def test_as_much_is_held_as_is_free_and_a_repeat_holds_more(scene: Scene) -> None:
    assert await scene.spends(500)
    dispute = await scene.opened()
    assert await scene.held(dispute) == 100
    await deposited(scene.book, scene.payee.id, scene.payee.account_id, 300)
    assert await scene.held(dispute) == 400
    await deposited(scene.book, scene.payee.id, scene.payee.account_id, 900)
    assert [await scene.held(dispute) for _ in range(2)] == [PAID, PAID]
    recorded = (await StaffActions(scene.database).find(ActionSearch(subject=dispute.id), 20)).items[::-1]
    assert [(one.action, one.before, one.after) for one in recorded[:2]] == [
        (Action.HOLD_AMOUNT, {"held": 0}, {"held": 100}),
        (Action.HOLD_AMOUNT, {"held": 100}, {"held": 400}),
    ]


async def test_nothing_is_held_of_an_empty_account(scene: Scene) -> None:
    assert await scene.spends(PAID)
    with pytest.raises(NothingToHold):
        await scene.held(await scene.opened())


@pytest.mark.parametrize("ending", ["rejected", "expired", "released"])
async def test_a_dispute_that_ends_without_a_reversal_releases_its_hold(scene: Scene, ending: str) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    match ending:
        case "rejected":
            await scene.ruled(dispute, DisputeRuling.REJECT)
        case "expired":
            await scene.disputes.expire(dispute.id)
        case "released":
            for _ in range(2):
                await scene.holds.release(dispute.id, scene.olu, "ticket 4711")
    assert await scene.amounts() == (PAID, 0)
    assert await scene.spends(PAID)


async def test_the_decided_reversal_uses_the_hold_and_the_rest_is_released_by_the_decision(scene: Scene) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    await scene.ruled(dispute, DisputeRuling.REVERSE, 250)
    assert await scene.amounts() == (PAID, 250)
    assert await scene.spends(PAID - 250)
    award = await scene.awarded(dispute)
    opened = await scene.book.open_transfer(award)
    assert opened.objection is None
    assert not await scene.spends(1)
    step = Step(award.transfer_id, 1)
    for _ in range(2):
        await scene.book.debit(step)
        assert await scene.amounts() == (0, 0)
    await scene.book.credit(step)
    await scene.disputes.close(dispute.id, impossible=False)
    assert (await scene.disputes.course(dispute.id)).state is DisputeState.REVERSED


async def test_another_workers_stale_row_does_not_keep_a_reversal_from_its_hold(scene: Scene) -> None:
    dispute, other = await scene.opened(), Book(scene.database, FINGERPRINTS, record_reversal)
    assert await scene.spends(100, other), "the other worker has the account's row now"
    await scene.held(dispute)
    await scene.ruled(dispute, DisputeRuling.REVERSE, 500)
    award = await scene.awarded(dispute)
    await other.open_transfer(award)
    await other.debit(Step(award.transfer_id, 1))
    assert await scene.amounts() == (0, 0)
    await other.credit(Step(award.transfer_id, 1))


async def test_a_payee_who_gives_back_a_part_frees_as_much_of_the_hold(scene: Scene) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    await completed(scene.book, reversal(scene.paid, scene.payee.id, 200))
    assert await scene.amounts() == (400, 400)
    await completed(scene.book, reversal(scene.paid, scene.payee.id, 400))
    assert await scene.amounts() == (0, 0)


async def test_a_reversal_that_failed_keeps_its_hold_until_it_is_retried(scene: Scene, owner: Connection) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    award = await scene.failed(dispute)
    assert (await scene.disputes.course(dispute.id)).state is DisputeState.REVERSAL_FAILED
    assert await scene.amounts() == (PAID, PAID)
    assert not await scene.spends(1)
    again = later_attempt(award, 2)
    late = LateReversals(scene.database)
    await scene.book.open_transfer(again)
    await scene.book.debit(Step(again.transfer_id, 2))
    assert await late.end_all() == []
    await scene.book.credit(Step(again.transfer_id, 2))
    assert await late.end_all() == [dispute.id]
    await late.end_of(award.transfer_id)
    ended = await scene.disputes.find(dispute.id)
    assert ended is not None
    assert (ended[0].state, ended[0].outcome) == (DisputeState.REVERSED, "$6.00 was brought back to the payer.")
    told = await owner.fetch(
        "SELECT occasion, count(*) FROM notifications WHERE transfer_id IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in told if row["occasion"].startswith(dispute.id)] == [
        (f"{dispute.id}/ended", 2),
        (f"{dispute.id}/opened", 1),
        (f"{dispute.id}/reversed", 2),
    ]
    assert await scene.amounts() == (0, 0)


async def test_staff_who_are_no_party_hold_while_it_is_open(scene: Scene, customers: Customers) -> None:
    dispute = await scene.opened()
    stranger = (await holder(customers)).id
    with pytest.raises(NotStaff):
        await scene.holds.hold(dispute.id, Actor(stranger, Role.ADMIN), "mine")
    await promoted(scene.database, scene.payer.id, Role.OPERATOR)
    for act in (scene.holds.hold, scene.holds.release):
        with pytest.raises(ConflictOfInterest):
            await act(dispute.id, Actor(scene.payer.id, Role.OPERATOR), "mine")
    await scene.ruled(dispute, DisputeRuling.REJECT)
    with pytest.raises(DisputeClosed):
        await scene.held(dispute)


async def test_the_database_itself_lets_nobody_spend_what_is_held(scene: Scene, owner: Connection) -> None:
    await scene.held(await scene.opened())
    with pytest.raises(asyncpg.CheckViolationError, match="accounts_held_check"):
        await owner.execute("UPDATE accounts SET balance_minor = 599 WHERE id = $1", scene.payee.account_id)


async def test_an_account_whose_hold_its_entries_do_not_cover_is_rebuilt_after_the_release(
    scene: Scene, owner: Connection
) -> None:
    dispute = await scene.opened()
    await scene.held(dispute)
    edit = "UPDATE accounts SET balance_minor = 1000, held_minor = 900 WHERE id = $1"
    await owner.execute(edit, scene.payee.account_id)
    await owner.execute("UPDATE holds SET amount_minor = 900")
    assert await scene.rebuilt() == MoreHeldThanBalance.code
    assert await scene.amounts() == (1_000, 900)
    await scene.holds.release(dispute.id, scene.olu, "ticket 4711")
    assert await scene.rebuilt() is None
    assert await scene.amounts() == (PAID, 0)


async def test_of_holds_and_payments_at_once_none_takes_what_the_other_has(scene: Scene) -> None:
    dispute = await scene.opened()
    books = [Book(scene.database, FINGERPRINTS, record_reversal) for _ in range(2)]

    async def hold_and_release() -> None:
        for _ in range(8):
            await scene.held(dispute)
            await scene.holds.release(dispute.id, scene.olu, "ticket 4711")
        await scene.held(dispute)

    spent, _ = await asyncio.gather(
        asyncio.gather(*(scene.spends(10, books[n % 2]) for n in range(30))), hold_and_release()
    )
    balance, held = await scene.amounts()
    assert (balance, held) == (PAID - 10 * sum(spent), PAID - 10 * sum(spent))
