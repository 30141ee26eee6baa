"""The saga from end to end: where the money is after everything that can go wrong between its steps."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from ledger.accounts import AccountStatus
from ledger.ids import WORLD
from ledger.postgres.account_reads import AccountReads
from ledger.refusals import AccountFrozen, IllegalTransition
from ledger.transfers import Ending, State, Step, TransferOrder
from settings import Settings
from tests.account_status import set_account_status
from tests.orders import Holder, changed, order
from tests.workflows.sagas import Hold, Sagas, UnreliableBook, line_breaks, local_steps, sagas
from workflows import policies
from workflows.search_attributes import TRANSFER_STATE

DAY = 24 * 60 * 60


@pytest.fixture
async def saga(time_skipping: WorkflowEnvironment, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(time_skipping.client, book) as running:
        yield running


@pytest.fixture
async def live(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    """On the real server: the time-skipping one stops time for good where a step is left while it runs."""
    async with sagas(client, book) as running:
        yield running


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    """2,500 from alice to bob."""
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


async def balances(account_reads: AccountReads, *owners: Holder) -> list[int]:
    accounts = [await account_reads.own(owner.id, owner.account_id) for owner in owners]
    return [account.balance_minor for account in accounts if account]


async def test_a_completed_transfer_names_each_step_in_its_history_and_notifies_both_parties(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder, database_url: str
) -> None:
    handle = await saga.start(wanted)
    assert (await handle.result()).state is State.COMPLETED
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]
    assert saga.book.calls == ["open", "debit", "credit", "notify"]
    history = await handle.fetch_history()
    assert [
        event.event_type for event in history.events if event.HasField("activity_task_scheduled_event_attributes")
    ] == []
    at_once, one_by_one = local_steps(history)[:2], local_steps(history)[2:]
    assert set(at_once) == {"open_transfer", "screen_transfer"}
    assert one_by_one == ["debit_source", "credit_destination", "notify_parties"]
    connection = await asyncpg.connect(database_url)
    told = await connection.fetch(
        "SELECT account_id, body FROM notifications WHERE transfer_id IS NOT NULL ORDER BY account_id"
    )
    await connection.close()
    assert {row["account_id"]: row["body"] for row in told} == {
        alice.account_id: f"Your transfer {wanted.transfer_id} of $25.00 is completed.",
        bob.account_id: f"You received $25.00 by transfer {wanted.transfer_id}.",
    }


async def test_a_deposit_and_a_withdrawal_run_through_the_same_saga(
    saga: Sagas, account_reads: AccountReads, bob: Holder
) -> None:
    deposit = order(bob.id, WORLD, bob.account_id, 900)
    withdrawal = order(bob.id, bob.account_id, WORLD, 400)
    assert (await saga.run(deposit)).state is State.COMPLETED
    assert (await saga.run(withdrawal)).state is State.COMPLETED
    assert await balances(account_reads, bob) == [500]


async def test_too_little_money_fails_the_transfer_before_screening(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder
) -> None:
    ended = await saga.run(order(alice.id, alice.account_id, bob.account_id, 5_000_000))
    assert ended.state is State.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "insufficient_funds"
    assert await balances(account_reads, alice, bob) == [10_000, 0]


async def test_money_that_is_gone_between_open_and_debit_fails_the_transfer(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["debit"].append(hold)
    handle = await saga.start(wanted)
    await hold.reached.wait()
    other = order(alice.id, alice.account_id, WORLD, 9_000)
    await saga.book.open_transfer(other)
    await saga.book.debit(Step(other.transfer_id, 1))
    await saga.book.credit(Step(other.transfer_id, 1))
    hold.released.set()
    ended = await handle.result()
    assert (ended.state, ended.failure and ended.failure.code) == (State.FAILED, "insufficient_funds")
    assert await balances(account_reads, alice, bob) == [1_000, 0]


async def test_a_destination_frozen_between_debit_and_credit_gets_nothing_and_the_source_everything_back(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["credit"].append(hold)
    handle = await saga.start(wanted)
    await hold.reached.wait()
    assert await balances(account_reads, alice, bob) == [7_500, 0]
    await set_account_status(saga.book.database, bob.account_id, AccountStatus.FROZEN)
    hold.released.set()
    ended = await handle.result()
    assert ended.state is State.COMPENSATED
    assert ended.failure == AccountFrozen(bob.account_id, "destination").failure
    assert await balances(account_reads, alice, bob) == [10_000, 0]


@pytest.mark.parametrize("step", ["open", "debit", "credit", "notify"])
@pytest.mark.parametrize("commit", ["lost", "hidden"])
async def test_a_step_without_an_answer_is_asked_again_and_moves_money_once(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder, step: str, commit: str
) -> None:
    faults = saga.book.before if commit == "lost" else saga.book.after
    faults[step] += [line_breaks] * 3
    assert (await saga.run(wanted)).state is State.COMPLETED
    assert saga.book.calls.count(step) == 4
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_refund_without_an_answer_is_retried_until_it_succeeds(
    saga: Sagas,
    account_reads: AccountReads,
    alice: Holder,
    bob: Holder,
    wanted: TransferOrder,
    time_skipping: WorkflowEnvironment,
) -> None:
    started = await time_skipping.get_current_time()
    hold = Hold()
    saga.book.before["credit"].append(hold)
    saga.book.before["refund"] += [line_breaks] * 60
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await set_account_status(saga.book.database, bob.account_id, AccountStatus.CLOSED)
    hold.released.set()
    assert (await handle.result()).state is State.COMPENSATED
    assert saga.book.calls.count("refund") == 61
    assert (await time_skipping.get_current_time() - started).total_seconds() > 4 * 60
    assert await balances(account_reads, alice, bob) == [10_000, 0]


async def test_a_stuck_credit_shows_as_an_activity_with_its_state_and_what_is_happening(
    saga: Sagas, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    description = await handle.describe()
    assert [activity.activity_type.name for activity in description.raw_description.pending_activities] == [
        "credit_destination"
    ]
    assert description.typed_search_attributes.get(TRANSFER_STATE) == State.DEBITED
    hold.released.set()
    await handle.result()
    assert (await handle.describe()).typed_search_attributes.get(TRANSFER_STATE) == State.COMPLETED


@pytest.fixture
def rare_notifications(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every four hours in the end, instead of every ten minutes: a thousand attempts take longer than they tell."""
    monkeypatch.setattr(
        policies,
        "NOTIFICATION_RETRY",
        replace(policies.NOTIFICATION_RETRY, maximum_interval=timedelta(hours=4)),
    )


@pytest.mark.usefixtures("rare_notifications")
async def test_notification_down_for_days_delays_no_money_and_is_told_in_the_end(
    saga: Sagas,
    account_reads: AccountReads,
    alice: Holder,
    bob: Holder,
    wanted: TransferOrder,
    time_skipping: WorkflowEnvironment,
) -> None:
    started = await time_skipping.get_current_time()
    saga.book.before["notify"] += [line_breaks] * 30
    assert (await saga.run(wanted)).state is State.COMPLETED
    assert (await time_skipping.get_current_time() - started).total_seconds() > 2 * DAY
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


@pytest.mark.usefixtures("rare_notifications")
async def test_notification_that_never_works_is_given_up_and_the_transfer_stays_completed(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    saga.book.before["notify"] += [line_breaks] * 500
    handle = await saga.start(wanted)
    assert (await handle.result()).state is State.COMPLETED
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


@pytest.mark.parametrize(
    ("step", "ends"),
    [
        ("open", State.CANCELLED),
        ("debit", State.COMPENSATED),
        ("notify", State.COMPLETED),
    ],
)
async def test_a_cancel_during_a_step_waits_for_it_and_then_does_what_is_still_possible(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder, step: str, ends: State
) -> None:
    hold = Hold()
    saga.book.before[step] += [line_breaks, hold]  # the second attempt is a regular activity
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await handle.cancel()
    hold.released.set()
    ended = await handle.result()
    assert ended.state is ends
    expected = [7_500, 2_500] if ends is State.COMPLETED else [10_000, 0]
    assert await balances(account_reads, alice, bob) == expected


async def test_a_cancel_while_the_credit_is_stuck_gives_the_amount_back_and_a_late_credit_is_refused(
    live: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    live.book.before["credit"] += [line_breaks, hold]
    handle = await live.start(wanted)
    await hold.reached.wait()
    await handle.cancel()
    assert (await handle.result()).state is State.COMPENSATED
    hold.released.set()
    with pytest.raises(IllegalTransition):
        await live.book.credit(Step(wanted.transfer_id, 1))
    assert await balances(account_reads, alice, bob) == [10_000, 0]


async def test_a_cancel_that_meets_a_credit_finds_the_transfer_completed(
    live: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    live.book.after["credit"] += [line_breaks, hold]  # both commit; nobody hears of it
    handle = await live.start(wanted)
    await hold.reached.wait()
    await handle.cancel()
    assert (await handle.result()).state is State.COMPLETED
    hold.released.set()
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_cancel_before_the_first_task_moves_nothing(
    time_skipping: WorkflowEnvironment,
    book: UnreliableBook,
    account_reads: AccountReads,
    alice: Holder,
    wanted: TransferOrder,
) -> None:
    idle = Sagas(time_skipping.client, book, (settings := Settings(task_queue=f"test-{secrets.token_hex(6)}")))
    handle = await idle.start(wanted)
    await handle.cancel()
    async with sagas(time_skipping.client, book, task_queue=settings.task_queue):
        assert (await handle.result()).state is State.CANCELLED
    assert await balances(account_reads, alice) == [10_000]


async def test_two_workflows_for_one_transfer_move_its_money_once(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    first = await saga.start(wanted)
    second = await saga.start(replace(wanted, workflow_id=f"{wanted.workflow_id}/again"))
    assert {(await first.result()).state, (await second.result()).state} == {State.COMPLETED}
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_workflow_that_meets_a_transfer_in_transit_drives_it_on(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    await saga.book.open_transfer(wanted)
    await saga.book.debit(Step(wanted.transfer_id, 1))
    assert (await saga.run(wanted)).state is State.COMPLETED
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_transfer_that_is_cancelled_under_a_running_workflow_ends_it_as_cancelled(
    saga: Sagas, account_reads: AccountReads, alice: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["debit"].append(hold)
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await saga.book.end(Ending(Step(wanted.transfer_id, 1)), State.CANCELLED)
    hold.released.set()
    assert (await handle.result()).state is State.CANCELLED
    assert await balances(account_reads, alice) == [10_000]


async def test_a_cancel_that_comes_too_late_still_lets_the_parties_be_told(
    saga: Sagas, wanted: TransferOrder, database_url: str
) -> None:
    hold = Hold()
    saga.book.before["notify"].append(hold)
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await handle.cancel()
    hold.released.set()
    assert (await handle.result()).state is State.COMPLETED
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM notifications WHERE transfer_id IS NOT NULL") == 2
    await connection.close()


async def test_a_key_that_names_another_order_fails_the_workflow(
    live: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    await live.run(wanted)
    other = changed(wanted, amount_minor=9_999, workflow_id=f"{wanted.workflow_id}/other")
    handle = await live.start(other)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "OrderMismatch"
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]
