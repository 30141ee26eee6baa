"""Whatever happens to its workflow, a dispute is decided once, tells once, and ends in one reversal or none."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from disputes.dispute import DisputeState
from ledger.accounts import AccountStatus
from tests.account_status import set_account_status
from tests.orders import FINGERPRINTS, changed
from tests.waiting import until
from tests.workflows.disputing import Case, Handle, decide, has_read, reset, tasks_of
from tests.workflows.sagas import Hold, Sagas, UnreliableBook, line_breaks, sagas
from tests.workflows.test_recovery import sweep
from workflows.dispute import DisputeWorkflow


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, recovery_grace_seconds=0) as running:
        yield running


async def test_a_dispute_that_lost_its_workflow_is_started_again_and_reverses_once(saga: Sagas, case: Case) -> None:
    handle = await case.start(saga)
    await handle.terminate("by an operator")
    await case.decide(case.reverse())
    assert (await sweep(saga)).disputes == [case.dispute.id]
    await case.ends(DisputeState.REVERSED)
    assert await case.balances() == [10_000, 0]
    assert (await sweep(saga)).disputes == []


async def test_terminated_while_it_reverses_it_goes_on_with_the_same_reversal(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    hold = Hold()
    book.before["credit"] += [line_breaks, hold]
    handle = await case.start(saga)
    await decide(handle, case.reverse())
    await hold.reached.wait()
    await handle.terminate("by an operator")
    assert (await sweep(saga)).disputes == [case.dispute.id]
    hold.released.set()
    await case.ends(DisputeState.REVERSED)
    assert await case.balances() == [10_000, 0]


async def test_cancelled_in_temporal_it_is_started_again_and_its_reversal_goes_on(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    hold = Hold()
    book.before["debit"] += [line_breaks, hold]
    handle = await case.start(saga)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await sweep(saga)).disputes == [case.dispute.id]
    handle = case.newest(saga)
    await decide(handle, case.reverse())
    await hold.reached.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    hold.released.set()
    assert (await sweep(saga)).disputes == [case.dispute.id]
    assert await case.newest(saga).result() == "reversed"
    assert await case.balances() == [10_000, 0]


async def test_run_again_after_its_end_it_changes_nothing(saga: Sagas, case: Case) -> None:
    await case.decide(case.reverse())
    for _ in range(3):
        assert await (await case.start(saga)).result() is DisputeState.REVERSED
    assert await case.balances() == [10_000, 0]


async def test_reset_to_any_of_its_tasks_it_tells_nobody_twice(saga: Sagas, case: Case) -> None:
    handle = await case.start(saga)
    await case.disputes.add_statement(case.dispute.id, case.payee.id, "It was sent on Monday")
    await decide(handle, case.reverse())
    await handle.result()
    await case.reversal_is_told()
    before = await case.notified()
    assert len([one for one in before if one[1].startswith(case.dispute.id)]) == 4
    tasks = await tasks_of(handle)
    assert tasks
    for task in tasks:
        run_id = await reset(saga, handle, task, ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE)
        again = saga.client.get_workflow_handle(handle.id, run_id=run_id)
        assert await again.result() == DisputeState.REVERSED
    assert await case.notified() == before


async def test_started_twice_at_once_and_under_faults_it_tells_once(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    book.after["open"] += [line_breaks, line_breaks]
    book.after["credit"] += [line_breaks]
    book.before["notify"] += [line_breaks]
    await case.decide(case.reverse())
    handles = [
        await saga.client.start_workflow(
            DisputeWorkflow.run,
            case.dispute.id,
            id=f"{case.dispute.workflow_id}-{number}",
            task_queue=saga.settings.task_queue,
        )
        for number in range(2)
    ]
    assert [await handle.result() for handle in handles] == [DisputeState.REVERSED] * 2
    occasions = [occasion for _, occasion in await case.notified() if occasion.startswith(case.dispute.id)]
    assert sorted(occasions) == [f"{case.dispute.id}/ended"] * 2 + [f"{case.dispute.id}/opened"]


class Ways:
    """One way into each state of a dispute: its workflow, which waits where the state is not final."""

    def __init__(self, saga: Sagas, case: Case) -> None:
        self._saga = saga
        self._case = case
        self.reversal = Hold()

    async def open(self) -> Handle:
        handle = await self._case.start(self._saga)
        await self._case.disputes.add_statement(self._case.dispute.id, self._case.payee.id, "It was sent on Monday")
        await handle.signal(DisputeWorkflow.look_again)
        await until(lambda: has_read(handle, 2), "the workflow has looked again")
        return handle

    async def reversing(self) -> Handle:
        self._saga.book.before["credit"] += [line_breaks, self.reversal]
        handle = await self.reversed()
        await self.reversal.reached.wait()
        return handle

    async def reversed(self) -> Handle:
        handle = await self.open()
        await decide(handle, self._case.reverse(1_000))
        return handle

    async def reversal_failed(self) -> Handle:
        await set_account_status(self._case.database, self._case.payee.account_id, AccountStatus.FROZEN)
        return await self.reversed()

    async def rejected(self) -> Handle:
        handle = await self.open()
        await decide(handle, self._case.reject())
        return handle

    async def expired(self) -> Handle:
        await self._case.disputes.expire(self._case.dispute.id)
        return await self._case.start(self._saga)


@pytest.mark.parametrize("state", list(DisputeState))
async def test_reset_to_any_task_terminated_and_run_again_a_dispute_is_decided_once_and_ends(
    saga: Sagas, case: Case, state: DisputeState
) -> None:
    ways = Ways(saga, case)
    way: Callable[[], Awaitable[Handle]] = getattr(ways, state)
    first = await way()
    if state.is_final:
        assert await first.result() is state
    for task in await tasks_of(first):
        await reset(saga, first, task, ResetReapplyType.RESET_REAPPLY_TYPE_NONE)
        newest = case.newest(saga)
        with suppress(RPCError):  # it may have ended already
            await newest.signal(DisputeWorkflow.look_again)
        if state.is_final:
            assert await newest.result() is state
    ways.reversal.released.set()
    if state is DisputeState.OPEN:
        await case.newest(saga).terminate("by an operator")
        await case.decide(case.reverse(1_000))
        await case.start(saga)
    due = DisputeState.REVERSED if state in (DisputeState.OPEN, DisputeState.REVERSING) else state
    await case.ends(due)
    assert await case.newest(saga).result() is due
    assert await (await case.start(saga)).result() is due
    taken = 1_000 if due is DisputeState.REVERSED else 0
    assert await case.balances() == [7_500 + taken, 2_500 - taken]
    actions = await case.actions()
    assert len(actions) == (0 if due is DisputeState.EXPIRED else 1)


async def test_a_decided_reversal_whose_driver_is_delayed_is_driven_on_by_recovery(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    """Its row is opened and older than the limit, and no workflow drives it yet."""
    await case.decide(case.reverse())
    award = (await case.disputes.course(case.dispute.id)).reversal
    assert award is not None
    await book.open_transfer(FINGERPRINTS.signed(award))
    swept = await sweep(saga)
    assert (swept.driven_on, swept.abandoned) == ([award.transfer_id], [])
    await case.ends(DisputeState.REVERSED)
    assert await case.balances() == [10_000, 0]


async def test_a_reversal_that_only_borrows_the_key_of_a_dispute_is_abandoned_like_any_other(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    await case.decide(case.reverse(1_000))
    award = (await case.disputes.course(case.dispute.id)).reversal
    assert award is not None
    other = changed(award, amount_minor=900)
    await book.open_transfer(other)
    assert (await sweep(saga)).abandoned == [other.transfer_id]
