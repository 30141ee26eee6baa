"""A person's decision: awaited with a deadline, asked of the right people, kept when it comes early."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from ledger.postgres.customers import Customers
from ledger.postgres.database import Database
from ledger.postgres.statements import Statements
from ledger.reviews import Decision, Ruling
from ledger.transfers import State, TransferOrder
from tests.orders import Holder, funded, holder, order
from tests.waiting import until
from tests.workflows.sagas import Handle, Hold, Sagas, UnreliableBook, line_breaks, sagas

APPROVE = Decision("olu", Ruling.APPROVE, "known customer")
REJECT = Decision("pia", Ruling.REJECT, "asks to be paid twice")


@pytest.fixture
def book(database: Database) -> UnreliableBook:
    return UnreliableBook(database)


@pytest.fixture
async def saga(time_skipping: WorkflowEnvironment, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(time_skipping.client, book, review_from_major=20, four_eyes_from_major=50) as running:
        yield running


@pytest.fixture
async def alice(customers: Customers, book: UnreliableBook) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    """25.00 from alice to bob: one reviewer is enough."""
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


async def in_review(statements: Statements, wanted: TransferOrder) -> None:
    async def is_in_review() -> bool:
        transfer = await statements.transfer(wanted.owner_id, wanted.transfer_id)
        return transfer is not None and transfer.state is State.IN_REVIEW

    await until(is_in_review, "the transfer is in review")


async def decide(handle: Handle, decision: Decision) -> str:
    answer: str = await handle.execute_update("decide", decision, result_type=str)
    return answer


async def refused(handle: Handle, update: str, argument: object) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await handle.execute_update(update, argument)
    return str(error.value.cause)


async def test_an_approved_transfer_goes_on(saga: Sagas, statements: Statements, wanted: TransferOrder) -> None:
    handle = await saga.start(wanted)
    await in_review(statements, wanted)
    await decide(handle, APPROVE)
    assert (await handle.result()).state is State.COMPLETED


async def test_a_rejected_transfer_fails_and_says_so(
    saga: Sagas, statements: Statements, wanted: TransferOrder
) -> None:
    handle = await saga.start(wanted)
    await in_review(statements, wanted)
    await decide(handle, REJECT)
    ended = await handle.result()
    assert (ended.state, ended.failure and ended.failure.code) == (State.FAILED, "review_rejected")


async def test_a_review_that_nobody_decides_reminds_once_and_fails_on_its_deadline(
    saga: Sagas, wanted: TransferOrder, time_skipping: WorkflowEnvironment
) -> None:
    began = await time_skipping.get_current_time()
    handle = await saga.start(wanted)
    ended = await handle.result()
    assert (ended.state, ended.failure and ended.failure.code) == (State.FAILED, "review_expired")
    assert (await time_skipping.get_current_time() - began).total_seconds() >= 24 * 60 * 60
    history = await handle.fetch_history()
    reminders = [event for event in history.events if b"remind_reviewers" in event.SerializeToString()]
    assert len(reminders) == 1


async def test_a_decision_that_comes_before_the_review_is_kept_for_it(
    saga: Sagas, statements: Statements, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["open"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    deciding = asyncio.create_task(decide(handle, APPROVE))

    async def has_arrived() -> bool:
        history = await handle.fetch_history()
        return any(event.HasField("workflow_execution_update_accepted_event_attributes") for event in history.events)

    await until(has_arrived, "the decision has arrived")
    hold.released.set()
    await deciding
    assert (await handle.result()).state is State.COMPLETED


async def test_a_large_amount_needs_two_different_deciders(
    saga: Sagas, statements: Statements, alice: Holder, bob: Holder
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    handle = await saga.start(large)
    await in_review(statements, large)
    await decide(handle, APPROVE)
    assert "has decided" in await refused(handle, "decide", APPROVE)
    transfer = await statements.transfer(alice.id, large.transfer_id)
    assert transfer is not None
    assert transfer.state is State.IN_REVIEW
    await decide(handle, Decision("pia", Ruling.APPROVE, "called the customer"))
    assert (await handle.result()).state is State.COMPLETED


async def test_nobody_decides_without_a_name_a_reason_or_about_their_own_transfer(
    saga: Sagas, statements: Statements, alice: Holder, wanted: TransferOrder
) -> None:
    handle = await saga.start(wanted)
    await in_review(statements, wanted)
    for bad, why in (
        (Decision(" ", Ruling.APPROVE, "fine"), "decider is empty"),
        (Decision(alice.id, Ruling.APPROVE, "fine"), "cannot decide"),
        (Decision("olu", Ruling.APPROVE, ""), "reason is empty"),
    ):
        assert why in await refused(handle, "decide", bad)
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_a_transfer_in_review_that_is_reset_or_run_twice_keeps_its_decisions(
    saga: Sagas, statements: Statements, alice: Holder, bob: Holder
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    first = await saga.start(large)
    await in_review(statements, large)
    await decide(first, APPROVE)
    await first.terminate("lost")
    second = await saga.start(large)
    await decide(second, Decision("pia", Ruling.APPROVE, "called the customer"))
    assert (await second.result()).state is State.COMPLETED


async def test_a_small_transfer_is_not_reviewed(saga: Sagas, alice: Holder, bob: Holder) -> None:
    assert (await saga.run(order(alice.id, alice.account_id, bob.account_id, 1_999))).state is State.COMPLETED
