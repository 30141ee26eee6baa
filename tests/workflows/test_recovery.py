"""Transfers that lose their workflow are finished from the ledger's state."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from ledger.postgres.account_reads import AccountReads
from ledger.postgres.transfer_reads import TransferReads
from ledger.recovery import Sweep
from ledger.refusals import Abandoned, ReviewRejected
from ledger.transfers import State, Step, TransferOrder
from ledger.workflow_ids import recovery_workflow_id
from reviews.postgres import Reviews
from reviews.review import Decision, Ruling
from tests.orders import Holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import Hold, Sagas, UnreliableBook, line_breaks, sagas
from workflows.recovery import RecoveryWorkflow
from workflows.sweeps.schedules import RECOVERY_SCHEDULE, recovery_sweep, schedule_sweep


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, recovery_grace_seconds=0, review_from_major=90) as running:
        yield running


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


async def sweep(saga: Sagas) -> Sweep:
    return await saga.client.execute_workflow(
        RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=saga.settings.task_queue
    )


async def ends(transfer_reads: TransferReads, wanted: TransferOrder, state: State) -> None:
    async def ended() -> bool:
        transfer = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
        return transfer is not None and transfer.state is state

    await until(ended, f"the transfer is {state}")


async def balances(account_reads: AccountReads, *owners: Holder) -> list[int]:
    accounts = [await account_reads.own(owner.id, owner.account_id) for owner in owners]
    return [account.balance_minor for account in accounts if account]


async def test_a_transfer_terminated_in_review_is_abandoned(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 9_500)
    handle = await saga.start(large)
    await ends(transfer_reads, large, State.IN_REVIEW)
    await handle.terminate("by an operator")
    assert (await sweep(saga)).abandoned == [large.transfer_id]
    await ends(transfer_reads, large, State.FAILED)
    transfer = await transfer_reads.visible(alice.id, large.transfer_id)
    assert transfer is not None
    assert transfer.failure == Abandoned().failure


async def test_recovery_starts_one_workflow_for_a_transfer_that_it_ends(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 9_500)
    handle = await saga.start(large)
    await ends(transfer_reads, large, State.IN_REVIEW)
    await handle.terminate("by an operator")
    swept = await saga.client.start_workflow(
        RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=saga.settings.task_queue
    )
    assert (await swept.result()).abandoned == [large.transfer_id]
    started = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    assert [event.event_type for event in (await swept.fetch_history()).events].count(started) == 1


async def reviewed(saga: Sagas, transfer_reads: TransferReads, large: TransferOrder, ruling: Ruling) -> None:
    """A transfer that lost its workflow in review, and then was decided."""
    handle = await saga.start(large)
    await ends(transfer_reads, large, State.IN_REVIEW)
    await handle.terminate("by an operator")
    database = saga.book.database
    decision = Decision(await staff(database), ruling, "ticket 4711")
    await Reviews(database, timedelta(0)).decide(Step(large.transfer_id, 1), decision)


async def test_a_transfer_that_lost_its_workflow_and_was_rejected_ends_as_rejected(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 9_500)
    await reviewed(saga, transfer_reads, large, Ruling.REJECT)
    found = await sweep(saga)
    assert (found.driven_on, found.abandoned) == ([large.transfer_id], [])
    await ends(transfer_reads, large, State.FAILED)
    transfer = await transfer_reads.visible(alice.id, large.transfer_id)
    assert transfer is not None
    assert transfer.failure == ReviewRejected().failure


async def test_a_transfer_that_lost_its_workflow_and_was_approved_arrives(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 9_500)
    await reviewed(saga, transfer_reads, large, Ruling.APPROVE)
    found = await sweep(saga)
    assert (found.driven_on, found.abandoned) == ([large.transfer_id], [])
    await ends(transfer_reads, large, State.COMPLETED)


async def test_a_transfer_terminated_in_transit_is_driven_on(
    saga: Sagas,
    account_reads: AccountReads,
    transfer_reads: TransferReads,
    alice: Holder,
    bob: Holder,
    wanted: TransferOrder,
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold, line_breaks]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await handle.terminate("by an operator")
    found = await sweep(saga)
    assert (found.driven_on, found.abandoned) == ([wanted.transfer_id], [])
    await ends(transfer_reads, wanted, State.COMPLETED)
    hold.released.set()
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_recovery_leaves_running_transfers_alone_and_repeats_nothing(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    assert await sweep(saga) == Sweep(0, [], [])
    hold.released.set()
    await handle.result()
    assert await sweep(saga) == Sweep(0, [], [])
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_transfer_that_temporal_forgot_is_finished(
    saga: Sagas,
    account_reads: AccountReads,
    transfer_reads: TransferReads,
    client: Client,
    alice: Holder,
    bob: Holder,
    wanted: TransferOrder,
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=wanted.workflow_id)
        )
    )

    async def is_forgotten() -> bool:
        try:
            await handle.describe()
        except RPCError:
            return True
        return False

    await until(is_forgotten, "Temporal has forgotten the workflow")
    hold.released.set()

    async def is_finished() -> bool:
        await sweep(saga)
        transfer = await transfer_reads.visible(alice.id, wanted.transfer_id)
        return transfer is not None and transfer.state is State.COMPLETED

    await until(is_finished, "the transfer is completed")
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_transfer_terminated_before_its_debit_is_abandoned_and_a_late_debit_refused(
    saga: Sagas, account_reads: AccountReads, transfer_reads: TransferReads, alice: Holder, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["debit"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await handle.terminate("by an operator")
    assert (await sweep(saga)).abandoned == [wanted.transfer_id]
    hold.released.set()
    await ends(transfer_reads, wanted, State.FAILED)

    async def debit_was_refused() -> bool:
        return saga.book.refused.count("debit") > 0

    await until(debit_was_refused, "the late debit has been refused")
    assert await balances(account_reads, alice) == [10_000]


async def stranded_before_its_debit(saga: Sagas, payer: Holder, payee: Holder) -> TransferOrder:
    """A row without a workflow."""
    lost = order(payer.id, payer.account_id, payee.account_id, 100)
    await saga.book.open_transfer(lost)
    return lost


async def test_a_transfer_that_recovery_ended_says_so_to_its_owner_and_in_temporal(
    saga: Sagas, transfer_reads: TransferReads, client: Client, alice: Holder, bob: Holder
) -> None:
    lost = await stranded_before_its_debit(saga, alice, bob)
    assert (await sweep(saga)).abandoned == [lost.transfer_id]
    driver = client.get_workflow_handle(recovery_workflow_id(lost.transfer_id, 1), result_type=dict)
    assert (await driver.result())["failure"]["code"] == Abandoned.code
    async with saga.book.database.connection() as connection:
        told = await connection.fetch(
            "SELECT customer_id, body FROM notifications WHERE transfer_id = $1", lost.transfer_id
        )
    assert [row["customer_id"] for row in told] == [alice.id]
    assert str(Abandoned()) in told[0]["body"]
    assert str(await (await driver.describe()).static_summary()).startswith("Ended by recovery: ")
    found = await transfer_reads.visible(alice.id, lost.transfer_id)
    assert found is not None
    assert found.failure == Abandoned().failure


async def cannot() -> None:
    raise ApplicationError("not this one", non_retryable=True)


async def test_one_transfer_that_cannot_be_ended_holds_up_no_other_and_is_named(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    lost = {(await stranded_before_its_debit(saga, alice, bob)).transfer_id for _ in range(3)}
    await saga.book.open_transfer(wanted)
    await saga.book.debit(Step(wanted.transfer_id, 1, wanted.source_account_id))
    saga.book.before["end"].append(cannot)
    first = await sweep(saga)
    (failed,) = first.unanswered
    assert first.looked_at == 4
    assert set(first.abandoned) == lost - {failed}
    assert first.driven_on == [wanted.transfer_id]
    assert "not this one" in first.unanswered[failed]
    await ends(transfer_reads, wanted, State.COMPLETED)
    assert (await sweep(saga)).abandoned == [failed]


async def test_a_transfer_that_is_held_lets_the_others_go_first(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder
) -> None:
    lost = [await stranded_before_its_debit(saga, alice, bob) for _ in range(3)]
    hold = Hold()
    saga.book.before["end"].append(hold)
    sweeping = asyncio.create_task(sweep(saga))
    await hold.reached.wait()

    async def others_have_ended() -> bool:
        found = [await transfer_reads.visible(alice.id, each.transfer_id) for each in lost]
        return [each.state for each in found if each].count(State.FAILED) == len(lost) - 1

    await until(others_have_ended, "the others have ended")
    hold.released.set()
    assert set((await sweeping).abandoned) == {each.transfer_id for each in lost}


@pytest.mark.parametrize("ending", ["completed", "compensated", "failed", "cancelled"])
async def test_resetting_an_ended_transfer_to_any_of_its_tasks_moves_no_money(
    saga: Sagas, account_reads: AccountReads, client: Client, alice: Holder, bob: Holder, ending: str
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 2_500 if ending != "failed" else 99_999)
    hold = Hold()
    if ending in ("compensated", "cancelled"):
        saga.book.before["debit" if ending == "compensated" else "open"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    if ending in ("compensated", "cancelled"):
        await hold.reached.wait()
        await handle.cancel()
        hold.released.set()
    before = (await handle.result()).state
    assert before == ending
    held = await balances(account_reads, alice, bob)
    history = await handle.fetch_history()
    tasks = [
        event.event_id for event in history.events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    assert tasks
    for task in tasks:
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=wanted.workflow_id, run_id=str(handle.result_run_id)),
                reason="by an operator",
                workflow_task_finish_event_id=task,
                request_id=secrets.token_hex(8),
                reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
            )
        )
        again = client.get_workflow_handle(wanted.workflow_id, result_type=dict)
        assert (await again.result())["state"] == ending
        assert await balances(account_reads, alice, bob) == held


@pytest.mark.parametrize(("step", "state"), [("debit", State.INITIATED), ("credit", State.DEBITED)])
async def test_resetting_a_transfer_under_way_to_any_of_its_tasks_and_running_it_again_moves_its_money_once(
    saga: Sagas,
    account_reads: AccountReads,
    transfer_reads: TransferReads,
    client: Client,
    alice: Holder,
    bob: Holder,
    step: str,
    state: State,
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 2_500)
    hold = Hold()
    saga.book.before[step] += [line_breaks, hold]
    first = await saga.start(wanted)
    await hold.reached.wait()
    transfer = await transfer_reads.visible(alice.id, wanted.transfer_id)
    assert transfer is not None
    assert transfer.state is state
    history = await first.fetch_history()
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    tasks = [event.event_id for event in history.events if event.event_type == done]
    assert tasks
    for task in tasks:
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=wanted.workflow_id, run_id=str(first.result_run_id)),
                reason="by an operator",
                workflow_task_finish_event_id=task,
                request_id=secrets.token_hex(8),
            )
        )
    hold.released.set()
    await ends(transfer_reads, wanted, State.COMPLETED)
    newest = client.get_workflow_handle(wanted.workflow_id, result_type=dict)
    assert (await newest.result())["state"] == State.COMPLETED
    assert (await saga.run(wanted)).state is State.COMPLETED
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_pause_that_meets_a_deployment_is_kept_and_so_is_the_deployment(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery, described = client.get_schedule_handle(RECOVERY_SCHEDULE), client.workflow_service.describe_schedule
    await schedule_sweep(client, "nobody", recovery_sweep(timedelta(hours=1)))
    pauses = ["ticket 4711"]

    async def describe_then_pause(request: DescribeScheduleRequest, **how: Any) -> DescribeScheduleResponse:
        found = await described(request, **how)
        while pauses:
            await recovery.pause(note=pauses.pop())
        return found

    try:
        monkeypatch.setattr(client.workflow_service, "describe_schedule", describe_then_pause)
        await schedule_sweep(client, "nobody", recovery_sweep(timedelta(hours=2)))
        found = (await recovery.describe()).schedule
        assert (found.state.paused, found.state.note) == (True, "ticket 4711")
        assert [each.every for each in found.spec.intervals] == [timedelta(hours=2)]
    finally:
        await recovery.delete()


async def test_the_schedule_finishes_what_is_stranded_without_anyone(
    saga: Sagas, transfer_reads: TransferReads, client: Client, wanted: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await handle.terminate("by an operator")
    hold.released.set()
    try:
        for seconds in (60, 1):  # set up twice, as every deployment does: the newest interval counts
            await schedule_sweep(client, saga.settings.task_queue, recovery_sweep(timedelta(seconds=seconds)))
        await ends(transfer_reads, wanted, State.COMPLETED)
        recovery = client.get_schedule_handle(RECOVERY_SCHEDULE)
        await recovery.pause(note="maintenance")
        await schedule_sweep(client, saga.settings.task_queue, recovery_sweep(timedelta(seconds=2)))

        async def is_paused() -> bool:
            return (await recovery.describe()).schedule.state.paused

        # While Temporal starts a sweep, it tells the state from before the pause.
        await until(is_paused, "a deployment keeps the pause")
    finally:
        await client.get_schedule_handle(RECOVERY_SCHEDULE).delete()
