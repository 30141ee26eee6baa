"""Decisions and all that ends a review, at the rows: the first to commit is final, whatever else comes at once."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import CustomerId
from ledger.postgres.book import Book
from ledger.refusals import ActionRefused, Refusal
from ledger.transfers import Ending, Failure, State, Step, TransferOrder
from reviews.postgres import RecordedDecision, Reviews
from reviews.review import DecidedAlready, DecidedTooLate, Decision, ReviewTerms, Ruling
from staff.actions import Outcome, StaffAction
from staff.permissions import Channel, ConflictOfInterest, NotStaff, Role
from staff.postgres.actions import ActionSearch, StaffActions
from staff.postgres.transfer_search import TransferSearch
from tests.orders import Holder, funded, holder, later_attempt, order, promoted, staff

ONE, TWO = ReviewTerms(3_600, 1_800, 1), ReviewTerms(3_600, 1_800, 2)


@dataclass
class Desk:
    """Two reviewers, and transfers that they decide about."""

    database: Database
    book: Book
    reviews: Reviews
    payer: Holder
    payee: Holder
    olu: CustomerId
    pia: CustomerId

    def order(self) -> TransferOrder:
        return order(self.payer.id, self.payer.account_id, self.payee.account_id, 100)

    async def opened(self) -> Step:
        wanted = self.order()
        await self.book.open_transfer(wanted)
        return Step(wanted.transfer_id, 1)

    async def in_review(self, terms: ReviewTerms = ONE) -> Step:
        step = await self.opened()
        await self.reviews.begin(step, terms)
        return step

    async def approve(self, step: Step, by: CustomerId | None = None) -> RecordedDecision:
        return await self.reviews.decide(step, Decision(by or self.olu, Ruling.APPROVE, "known customer"))

    async def reject(self, step: Step, by: CustomerId | None = None) -> RecordedDecision:
        return await self.reviews.decide(step, Decision(by or self.pia, Ruling.REJECT, "asks to be paid twice"))

    async def cancel(self, step: Step) -> None:
        await self.book.end(Ending(step), State.CANCELLED)

    async def state(self, step: Step) -> State:
        async with self.database.connection() as connection:
            return State(await connection.fetchval("SELECT state FROM transfers WHERE id = $1", step.transfer_id))

    async def actions(self, step: Step) -> list[StaffAction]:
        return (await StaffActions(self.database).find(ActionSearch(subject=step.transfer_id), 20)).items[::-1]


@pytest.fixture
async def desk(database: Database, book: Book, customers: Customers) -> Desk:
    payer, payee = await funded(customers, book, 10_000), await holder(customers)
    return Desk(
        database, book, Reviews(database, timedelta(0)), payer, payee, await staff(database), await staff(database)
    )


async def both(*calls: Awaitable[object]) -> list[object]:
    """What became of calls that run at once: their answers, or what refused them."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException) and not isinstance(one, ActionRefused | Refusal):
            raise one
    return list(ended)


async def test_a_decision_commits_with_its_action(desk: Desk) -> None:
    step = await desk.in_review()
    await desk.approve(step)
    (action,) = await desk.actions(step)
    standing = {"state": "in_review", "attempt": 1}
    assert (action.actor_id, action.channel, action.outcome) == (desk.olu, Channel.API, Outcome.TAKEN)
    assert (action.asked, action.before) == ({"ruling": "approve"}, standing)
    assert [decision.decider for decision in (await desk.reviews.read(step)).decisions] == [desk.olu]


async def test_a_decision_whose_record_cannot_be_written_is_not_taken(desk: Desk, database_url: str) -> None:
    step = await desk.in_review()
    owner = await asyncpg.connect(database_url)
    await owner.execute("ALTER TABLE review_decisions ADD CONSTRAINT broken CHECK (reason <> 'known customer')")
    await owner.close()
    with pytest.raises(asyncpg.CheckViolationError):
        await desk.approve(step)
    assert (await desk.reviews.read(step)).decisions == []
    assert await desk.actions(step) == []


async def test_the_same_decision_again_finds_the_first_one_also_after_the_review(desk: Desk) -> None:
    step = await desk.in_review()
    first = await desk.approve(step)
    again = await desk.reviews.decide(step, Decision(desk.olu, Ruling.APPROVE, "another reason"))
    await desk.book.debit(step)
    later = await desk.approve(step)
    assert (again.decision, later.decision) == (first.decision, first.decision)
    assert [first.replayed, again.replayed, later.replayed] == [False, True, True]
    assert len(await desk.actions(step)) == 1


async def test_the_first_decision_of_a_reviewer_is_final_by_any_name_and_channel(
    desk: Desk, customers: Customers
) -> None:
    step = await desk.in_review(TWO)
    person = await customers.find(desk.olu)
    assert person is not None
    approve = Decision(f" {person.email.upper()} ", Ruling.APPROVE, "known customer")
    assert (await desk.reviews.decide(step, approve, Channel.TEMPORAL)).decision.decider == desk.olu
    assert (await desk.approve(step)).replayed
    with pytest.raises(DecidedAlready):
        await desk.reject(step, by=desk.olu)


async def test_nobody_but_staff_who_are_no_party_decides(desk: Desk) -> None:
    step = await desk.in_review()
    for nobody in ("olu", "olu@example.com", desk.payee.id):
        with pytest.raises(NotStaff):
            await desk.reviews.decide(step, Decision(nobody, Ruling.APPROVE, "fine"))
    for party in (desk.payer, desk.payee):
        await promoted(desk.database, party.id, Role.OPERATOR)
        with pytest.raises(ConflictOfInterest):
            await desk.approve(step, by=party.id)
    assert (await desk.reviews.read(step)).decisions == []


@pytest.mark.parametrize("turn", range(5))
async def test_of_two_reviewers_at_once_who_disagree_one_decides(desk: Desk, turn: int) -> None:
    step = await desk.in_review()
    calls = [desk.approve(step), desk.reject(step)]
    ended = await both(*(calls if turn % 2 else calls[::-1]))
    assert sorted(type(one).__name__ for one in ended) == ["DecidedTooLate", "RecordedDecision"]
    (decision,) = (await desk.reviews.read(step)).decisions
    assert (await desk.reviews.read(step)).outcome is decision.ruling


async def test_two_reviewers_at_once_are_two_approvals(desk: Desk) -> None:
    step = await desk.in_review(TWO)
    await both(desk.approve(step), desk.approve(step, by=desk.pia))
    assert (await desk.reviews.read(step)).outcome is Ruling.APPROVE


async def test_one_reviewer_twice_at_once_is_one_approval(desk: Desk) -> None:
    step = await desk.in_review(TWO)
    ended = await both(*(desk.approve(step) for _ in range(5)))
    assert sum(isinstance(one, RecordedDecision) and not one.replayed for one in ended) == 1
    assert (await desk.reviews.read(step)).outcome is None
    assert len(await desk.actions(step)) == 1


async def test_a_decided_review_takes_no_further_decision_though_the_money_has_not_moved(desk: Desk) -> None:
    step = await desk.in_review()
    await desk.approve(step)
    with pytest.raises(DecidedTooLate, match="approved already"):
        await desk.reject(step)
    assert (await desk.reviews.begin(step, TWO)).outcome is Ruling.APPROVE


async def test_another_decision_of_the_same_reviewer_is_too_late_once_the_review_is_over(desk: Desk) -> None:
    step = await desk.in_review()
    await desk.approve(step)
    with pytest.raises(DecidedTooLate):
        await desk.reject(step, by=desk.olu)
    await desk.cancel(step)
    with pytest.raises(DecidedTooLate):
        await desk.reject(step, by=desk.olu)


async def test_a_decision_that_commits_before_the_expiry_wins(desk: Desk) -> None:
    step = await desk.in_review()
    await desk.approve(step)
    review = await desk.reviews.expire(step)
    assert (review.outcome, review.standing.state, review.failure) == (Ruling.APPROVE, State.IN_REVIEW, None)


async def test_an_expired_review_fails_its_transfer_and_a_decision_is_too_late(desk: Desk) -> None:
    step = await desk.in_review(TWO)
    await desk.approve(step)
    for _ in range(2):
        review = await desk.reviews.expire(step)
        assert review.failure is not None
        assert (review.standing.state, review.failure.code) == (State.FAILED, "review_expired")
    with pytest.raises(DecidedTooLate, match="failed"):
        await desk.approve(step, by=desk.pia)


@pytest.mark.parametrize("turn", range(6))
async def test_a_decision_and_the_expiry_at_once_agree_on_who_was_first(desk: Desk, turn: int) -> None:
    step = await desk.in_review()
    calls: list[Awaitable[object]] = [desk.approve(step), desk.reviews.expire(step)]
    ended = await both(*(calls if turn % 2 else calls[::-1]))
    was_taken = any(isinstance(one, RecordedDecision) for one in ended)
    assert await desk.state(step) is (State.IN_REVIEW if was_taken else State.FAILED)


@pytest.mark.parametrize("turn", range(6))
async def test_a_decision_and_a_cancellation_at_once_leave_the_transfer_cancelled(desk: Desk, turn: int) -> None:
    step = await desk.in_review()
    calls: list[Awaitable[object]] = [desk.approve(step), desk.cancel(step)]
    ended = await both(*(calls if turn % 2 else calls[::-1]))
    assert await desk.state(step) is State.CANCELLED
    was_taken = any(isinstance(one, RecordedDecision) for one in ended)
    assert len(await desk.actions(step)) == was_taken


async def test_a_decision_about_an_earlier_attempt_is_too_late_and_does_not_count_for_the_next(desk: Desk) -> None:
    wanted = desk.order()
    await desk.book.open_transfer(wanted)
    first = Step(wanted.transfer_id, 1)
    await desk.book.end(Ending(first, Failure("review_rejected", "no")), State.FAILED)
    await desk.book.open_transfer(later_attempt(wanted, 2))
    with pytest.raises(DecidedTooLate, match="at attempt 2"):
        await desk.approve(first)
    second = Step(wanted.transfer_id, 2)
    assert (await desk.reviews.begin(second, ONE)).decisions == []
    assert not (await desk.approve(second)).replayed


async def test_a_decision_before_the_review_begins_is_found_by_it(desk: Desk) -> None:
    step = await desk.opened()
    await desk.approve(step)
    assert (await desk.reviews.begin(step, ONE)).outcome is Ruling.APPROVE


async def test_many_decisions_commit_together_and_name_what_was_refused(desk: Desk) -> None:
    free, decided, ended = [await desk.in_review() for _ in range(3)]
    await desk.reject(decided)
    await desk.cancel(ended)
    steps = (free, decided, ended)
    batch = await desk.reviews.decide_many(steps, Decision(desk.olu, Ruling.APPROVE, "known customer"))
    assert [transfer.id for transfer in batch.taken] == [free.transfer_id]
    assert {each.transfer_id: each.why.partition("the transfer is ")[2] for each in batch.refused} == {
        decided.transfer_id: "rejected already.",
        ended.transfer_id: "cancelled.",
    }
    assert [len(await desk.actions(step)) for step in steps] == [1, 1, 0]


async def test_many_decisions_do_not_count_for_an_attempt_that_began_after_the_transfers_were_found(desk: Desk) -> None:
    wanted = desk.order()
    await desk.book.open_transfer(wanted)
    found, second = Step(wanted.transfer_id, 1), Step(wanted.transfer_id, 2)
    await desk.reviews.begin(found, ONE)
    await desk.book.end(Ending(found, Failure("review_expired", "nobody decided")), State.FAILED)
    await desk.book.open_transfer(later_attempt(wanted, 2))
    await desk.reviews.begin(second, ONE)
    batch = await desk.reviews.decide_many([found], Decision(desk.olu, Ruling.APPROVE, "known customer"))
    assert (batch.taken, [(each.transfer_id, each.code) for each in batch.refused]) == (
        [],
        [(wanted.transfer_id, "too_late")],
    )
    assert (await desk.reviews.read(second)).decisions == []
    assert await desk.actions(second) == []


async def test_a_reviewer_finds_what_only_others_or_only_an_earlier_attempt_has_decisions_of(desk: Desk) -> None:
    wanted = desk.order()
    await desk.book.open_transfer(wanted)
    first, second = Step(wanted.transfer_id, 1), Step(wanted.transfer_id, 2)
    await desk.reviews.begin(first, TWO)
    search = TransferSearch(state=State.IN_REVIEW)

    async def found(reviewer: CustomerId) -> list[tuple[str, int]]:
        page = await desk.reviews.find_undecided(search, reviewer, 10)
        return [(each.id, each.attempt) for each in page.items]

    await desk.approve(first)
    assert [await found(reviewer) for reviewer in (desk.olu, desk.pia)] == [[], [(wanted.transfer_id, 1)]]
    await desk.book.end(Ending(first, Failure("review_expired", "nobody decided")), State.FAILED)
    await desk.book.open_transfer(later_attempt(wanted, 2))
    await desk.reviews.begin(second, TWO)
    assert await found(desk.olu) == [(wanted.transfer_id, 2)]


async def test_many_decisions_do_not_wait_for_a_transfer_that_something_else_writes_to(
    desk: Desk, database_url: str
) -> None:
    free, busy = [await desk.in_review() for _ in range(2)]
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM transfers WHERE id = $1 FOR UPDATE", busy.transfer_id)
        batch = await desk.reviews.decide_many([free, busy], Decision(desk.olu, Ruling.APPROVE, "known customer"))
    await other.close()
    assert [transfer.id for transfer in batch.taken] == [free.transfer_id]
    assert [(each.transfer_id, each.code) for each in batch.refused] == [(busy.transfer_id, "too_busy")]
    assert not (await desk.approve(busy)).replayed


async def test_two_batches_at_once_do_not_deadlock_and_decide_each_transfer_once(desk: Desk) -> None:
    steps = [await desk.in_review() for _ in range(20)]
    approve = Decision(desk.olu, Ruling.APPROVE, "known customer")
    reject = Decision(desk.pia, Ruling.REJECT, "asks to be paid twice")
    await both(desk.reviews.decide_many(steps, approve), desk.reviews.decide_many(steps[::-1], reject))
    for step in steps:
        decisions = (await desk.reviews.read(step)).decisions
        assert len(decisions) <= 1
