"""A dispute waits, is decided once, and ends in one reversal or none, whatever happens to its workflow."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from ledger.accounts import AccountStatus
from ledger.disputes import Dispute, DisputeDecision, DisputeRuling, DisputeState, DisputeTerms
from ledger.ids import CustomerId
from ledger.operators import Role
from ledger.postgres.accounts import set_account_status
from ledger.postgres.customers import Customers
from ledger.postgres.database import Database
from ledger.postgres.disputes import Disputes
from ledger.postgres.oversight import ActionSearch, Oversight
from ledger.postgres.statements import Statements
from ledger.transfers import TransferOrder
from tests.ledger.test_reversals import completed
from tests.orders import Holder, funded, holder, order
from tests.waiting import until
from tests.workflows.sagas import Hold, Sagas, UnreliableBook, line_breaks, sagas
from tests.workflows.test_recovery import balances, sweep
from workflows.dispute import DisputeWorkflow

TERMS = DisputeTerms(window_days=120, deadline_seconds=14 * 24 * 60 * 60)


@pytest.fixture
def disputes(database: Database) -> Disputes:
    return Disputes(database)


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, recovery_grace_seconds=0) as running:
        yield running


@pytest.fixture
async def payer(customers: Customers, book: UnreliableBook) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def payee(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def staff(database: Database, customers: Customers) -> CustomerId:
    made = await holder(customers)
    async with database.connection() as connection:
        await connection.execute("UPDATE customers SET role = $2 WHERE id = $1", made.id, Role.OPERATOR)
    return made.id


@pytest.fixture
async def disputed(book: UnreliableBook, payer: Holder, payee: Holder) -> TransferOrder:
    return await completed(book, order(payer.id, payer.account_id, payee.account_id, 2_500))


@pytest.fixture
async def dispute(disputes: Disputes, disputed: TransferOrder, payer: Holder) -> Dispute:
    opened = await disputes.open(payer.id, disputed.transfer_id, "The goods never came", TERMS)
    assert opened is not None
    return opened


async def start(saga: Sagas, dispute: Dispute, client: Client | None = None) -> "WorkflowHandle[Any, DisputeState]":
    return await (client or saga.client).start_workflow(
        DisputeWorkflow.run, dispute.id, id=dispute.workflow_id, task_queue=saga.settings.task_queue
    )


async def now(disputes: Disputes, dispute: Dispute) -> Dispute:
    found = await disputes.find(dispute.id)
    assert found is not None
    return found[0]


async def ends(disputes: Disputes, dispute: Dispute, state: DisputeState) -> Dispute:
    async def has_ended() -> bool:
        return (await now(disputes, dispute)).state is state

    await until(has_ended, f"the dispute is {state}")
    return await now(disputes, dispute)


async def decide(handle: "WorkflowHandle[Any, DisputeState]", decision: DisputeDecision) -> str:
    answer: str = await handle.execute_update("decide", decision, result_type=str)
    return answer


def reverses(staff: CustomerId, amount_minor: int | None = None) -> DisputeDecision:
    return DisputeDecision(staff, DisputeRuling.REVERSE, "No proof of delivery", amount_minor)


async def test_a_dispute_that_nobody_decides_expires_on_its_deadline(
    time_skipping: WorkflowEnvironment, book: UnreliableBook, disputes: Disputes, dispute: Dispute
) -> None:
    began = await time_skipping.get_current_time()
    async with sagas(time_skipping.client, book) as saga:
        assert await (await start(saga, dispute)).result() is DisputeState.EXPIRED
    assert await time_skipping.get_current_time() - began >= timedelta(days=13, hours=23)
    assert (await now(disputes, dispute)).state is DisputeState.EXPIRED


async def test_a_decision_that_the_workflow_was_not_told_of_is_seen_long_before_the_deadline(
    time_skipping: WorkflowEnvironment, book: UnreliableBook, disputes: Disputes, dispute: Dispute, staff: CustomerId
) -> None:
    began = await time_skipping.get_current_time()
    async with sagas(time_skipping.client, book) as saga:
        handle = await start(saga, dispute)
        await until(lambda: looked(handle, 1), "the workflow has found it open")
        await disputes.decide(dispute.id, reverses(staff))
        assert await handle.result() is DisputeState.REVERSED
    assert await time_skipping.get_current_time() - began < timedelta(days=3)


async def test_a_decision_by_update_brings_the_money_back_and_is_recorded(
    saga: Sagas,
    database: Database,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
) -> None:
    handle = await start(saga, dispute)
    await decide(handle, reverses(staff, 1_000))
    assert await handle.result() is DisputeState.REVERSED
    ended = await now(disputes, dispute)
    assert ended.reversal_transfer_id is not None
    reversal = await statements.transfer(payer.id, ended.reversal_transfer_id)
    assert reversal is not None
    assert (reversal.reverses_transfer_id, reversal.amount_minor) == (dispute.transfer_id, 1_000)
    assert await balances(statements, payer, payee) == [8_500, 1_500]
    actions = await Oversight(database).actions(ActionSearch(subject=dispute.id), 10)
    assert [(a.actor_id, a.action, a.reason) for a in actions] == [(staff, "decide_dispute", "No proof of delivery")]


async def test_a_rejection_leaves_the_money_where_it_is(
    saga: Sagas, statements: Statements, dispute: Dispute, staff: CustomerId, payer: Holder, payee: Holder
) -> None:
    handle = await start(saga, dispute)
    await decide(handle, DisputeDecision(staff, DisputeRuling.REJECT, "Delivery is proven"))
    assert await handle.result() is DisputeState.REJECTED
    assert await balances(statements, payer, payee) == [7_500, 2_500]


async def test_who_may_not_decide_is_refused_and_the_dispute_stays_open(
    saga: Sagas, disputes: Disputes, dispute: Dispute, staff: CustomerId, payer: Holder, payee: Holder
) -> None:
    handle = await start(saga, dispute)
    for decision in (
        reverses(payer.id),
        reverses(payee.id),
        reverses(CustomerId(" ")),
        reverses(CustomerId("olu")),
        reverses(staff, 2_501),
        DisputeDecision(staff, DisputeRuling.REVERSE, " "),
        DisputeDecision(staff, DisputeRuling.REJECT, "an amount too much", 5),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await decide(handle, decision)
    assert (await now(disputes, dispute)).state is DisputeState.OPEN
    await handle.terminate()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount": 400}, "JSON object of decider, ruling, reason, amount_minor, and of nothing else"),
        ({"amount_minor": 4.5}, "amount_minor is a whole number"),
        ({"amount_minor": True}, "amount_minor is a whole number"),
        ({"amount_minor": "400"}, "amount_minor is a whole number"),
        ({"ruling": "approve"}, "ruling is reverse or reject"),
        ({"reason": None}, "needs reason"),
        ({"decider": 7}, "needs decider"),
        ({"decider": "olu"}, "decider is the customer id"),
    ],
)
async def test_what_is_mistyped_in_a_decision_is_refused_and_moves_nothing(
    saga: Sagas, disputes: Disputes, dispute: Dispute, staff: CustomerId, changes: dict[str, Any], why: str
) -> None:
    handle = await start(saga, dispute)
    typed = {"decider": staff, "ruling": "reverse", "reason": "No proof of delivery"} | changes
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("decide", typed, result_type=str)
    assert why in str(refused.value.cause)
    assert (await now(disputes, dispute)).state is DisputeState.OPEN
    await handle.terminate()


async def test_what_was_said_and_decided_before_the_workflow_runs_counts(
    saga: Sagas, disputes: Disputes, dispute: Dispute, staff: CustomerId, payer: Holder, payee: Holder
) -> None:
    await disputes.state(dispute.id, payee.id, "It was sent on Monday")
    await disputes.state(dispute.id, payer.id, "It was not")
    await disputes.decide(dispute.id, reverses(staff))
    assert await (await start(saga, dispute)).result() is DisputeState.REVERSED
    found = await disputes.find(dispute.id)
    assert found is not None
    assert [said.author_id for said in found[1]] == [payee.id, payer.id]


async def test_a_dispute_that_lost_its_workflow_is_started_again_and_reverses_once(
    saga: Sagas,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
) -> None:
    handle = await start(saga, dispute)
    await handle.terminate("by an operator")
    await disputes.decide(dispute.id, reverses(staff))
    assert (await sweep(saga)).disputes == [dispute.id]
    await ends(disputes, dispute, DisputeState.REVERSED)
    assert await balances(statements, payer, payee) == [10_000, 0]
    assert (await sweep(saga)).disputes == []


async def test_terminated_while_it_reverses_it_goes_on_with_the_same_reversal(
    saga: Sagas,
    book: UnreliableBook,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
) -> None:
    hold = Hold()
    book.before["credit"] += [line_breaks, hold]
    handle = await start(saga, dispute)
    await decide(handle, reverses(staff))
    await hold.reached.wait()
    await handle.terminate("by an operator")
    assert (await sweep(saga)).disputes == [dispute.id]
    hold.released.set()
    await ends(disputes, dispute, DisputeState.REVERSED)
    assert await balances(statements, payer, payee) == [10_000, 0]


async def test_cancelled_in_temporal_it_is_started_again_and_its_reversal_goes_on(
    saga: Sagas,
    book: UnreliableBook,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
) -> None:
    hold = Hold()
    book.before["debit"] += [line_breaks, hold]
    handle = await start(saga, dispute)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await sweep(saga)).disputes == [dispute.id]
    handle = saga.client.get_workflow_handle(dispute.workflow_id, result_type=DisputeState)
    await decide(handle, reverses(staff))
    await hold.reached.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    hold.released.set()
    assert (await sweep(saga)).disputes == [dispute.id]
    assert await saga.client.get_workflow_handle(dispute.workflow_id, result_type=DisputeState).result() == "reversed"
    assert await balances(statements, payer, payee) == [10_000, 0]


async def test_run_again_after_its_end_it_changes_nothing(
    saga: Sagas,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
) -> None:
    await disputes.decide(dispute.id, reverses(staff))
    for _ in range(3):
        assert await (await start(saga, dispute)).result() is DisputeState.REVERSED
    assert await balances(statements, payer, payee) == [10_000, 0]


async def test_a_reversal_that_fails_is_told_and_the_payer_may_dispute_again(
    saga: Sagas,
    book: UnreliableBook,
    disputes: Disputes,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
) -> None:
    await completed(book, order(payee.id, payee.account_id, payer.account_id, 2_500))
    await disputes.decide(dispute.id, reverses(staff))
    assert await (await start(saga, dispute)).result() is DisputeState.REVERSAL_FAILED
    ended = await now(disputes, dispute)
    assert ended.reversal_transfer_id is not None
    # Both parties read it: not a word about the payee's account.
    assert ended.outcome == "Reversing $25.00 was decided, and could not be done."
    assert await disputes.open(payer.id, dispute.transfer_id, "Still no goods", TERMS) is not None


async def test_of_two_decisions_at_once_the_first_counts(
    saga: Sagas,
    database: Database,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    customers: Customers,
    payer: Holder,
) -> None:
    other = await holder(customers)
    async with database.connection() as connection:
        await connection.execute("UPDATE customers SET role = 'admin' WHERE id = $1", other.id)
    handle = await start(saga, dispute)
    answers = await asyncio.gather(
        decide(handle, reverses(staff)),
        disputes.decide(dispute.id, DisputeDecision(other.id, DisputeRuling.REJECT, "Delivery is proven")),
        return_exceptions=True,
    )
    assert len([answer for answer in answers if isinstance(answer, BaseException)]) == 1
    with suppress(RPCError):  # it may have ended by the update already
        await handle.signal(DisputeWorkflow.look_again)
    state = await handle.result()
    brought_back = (await balances(statements, payer))[0] == 10_000
    assert brought_back == (state is DisputeState.REVERSED)
    assert len(await Oversight(database).actions(ActionSearch(subject=dispute.id), 10)) == 1


async def test_reset_to_any_of_its_tasks_it_tells_nobody_twice(
    saga: Sagas, database: Database, disputes: Disputes, dispute: Dispute, staff: CustomerId, payee: Holder
) -> None:
    handle = await start(saga, dispute)
    await disputes.state(dispute.id, payee.id, "It was sent on Monday")
    await decide(handle, reverses(staff))
    await handle.result()
    await reversal_is_told(database, dispute)
    before = await told(database)
    assert len([one for one in before if one[1].startswith(dispute.id)]) == 4
    history = await handle.fetch_history()
    tasks = [e.event_id for e in history.events if e.HasField("workflow_task_completed_event_attributes")]
    assert tasks
    for task in tasks:
        reset = await saga.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=saga.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=dispute.workflow_id, run_id=str(handle.result_run_id)),
                reason="by an operator",
                workflow_task_finish_event_id=task,
                request_id=secrets.token_hex(8),
            )
        )
        again = saga.client.get_workflow_handle(dispute.workflow_id, run_id=reset.run_id)
        assert await again.result() == DisputeState.REVERSED
    assert await told(database) == before


async def test_started_twice_at_once_and_under_faults_it_tells_once(
    saga: Sagas, database: Database, book: UnreliableBook, disputes: Disputes, dispute: Dispute, staff: CustomerId
) -> None:
    book.after["open"] += [line_breaks, line_breaks]
    book.after["credit"] += [line_breaks]
    book.before["notify"] += [line_breaks]
    await disputes.decide(dispute.id, reverses(staff))
    handles = [
        await saga.client.start_workflow(
            DisputeWorkflow.run, dispute.id, id=f"{dispute.workflow_id}-{number}", task_queue=saga.settings.task_queue
        )
        for number in range(2)
    ]
    assert [await handle.result() for handle in handles] == [DisputeState.REVERSED] * 2
    occasions = [occasion for _, occasion in await told(database) if occasion.startswith(dispute.id)]
    assert sorted(occasions) == [f"{dispute.id}/ended"] * 2 + [f"{dispute.id}/opened"]


async def told(database: Database) -> list[tuple[str, str]]:
    """Who was told of what."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT account_id, occasion FROM messages ORDER BY created_at, account_id")
    return [(row["account_id"], row["occasion"]) for row in rows]


async def reversal_is_told(database: Database, dispute: Dispute) -> None:
    """The reversal's own notification comes after its money."""

    async def is_told() -> bool:
        async with database.connection() as connection:
            told_of = await connection.fetchval(
                "SELECT count(*) FROM messages m JOIN disputes d ON m.transfer_id = d.reversal_transfer_id"
            )
        return bool(told_of)

    await until(is_told, "the reversal's parties are told")


class Ways:
    """One way into each state of a dispute: its workflow, which waits where the state is not final."""

    def __init__(self, saga: Sagas, disputes: Disputes, dispute: Dispute, payee: Holder, staff: CustomerId) -> None:
        self._saga = saga
        self._disputes = disputes
        self._dispute = dispute
        self._payee = payee
        self._staff = staff
        self.reversal = Hold()

    async def open(self) -> "WorkflowHandle[Any, DisputeState]":
        handle = await start(self._saga, self._dispute)
        await self._disputes.state(self._dispute.id, self._payee.id, "It was sent on Monday")
        await handle.signal(DisputeWorkflow.look_again)
        await until(lambda: looked(handle, 2), "the workflow has looked again")
        return handle

    async def reversing(self) -> "WorkflowHandle[Any, DisputeState]":
        self._saga.book.before["credit"] += [line_breaks, self.reversal]
        handle = await self.open()
        await decide(handle, reverses(self._staff, 1_000))
        await self.reversal.reached.wait()
        return handle

    async def reversed(self) -> "WorkflowHandle[Any, DisputeState]":
        handle = await self.open()
        await decide(handle, reverses(self._staff, 1_000))
        return handle

    async def reversal_failed(self) -> "WorkflowHandle[Any, DisputeState]":
        await set_account_status(self._saga.book.database, self._payee.account_id, AccountStatus.FROZEN)
        return await self.reversed()

    async def rejected(self) -> "WorkflowHandle[Any, DisputeState]":
        handle = await self.open()
        await decide(handle, DisputeDecision(self._staff, DisputeRuling.REJECT, "Delivery is proven"))
        return handle

    async def expired(self) -> "WorkflowHandle[Any, DisputeState]":
        await self._disputes.expire(self._dispute.id)
        return await start(self._saga, self._dispute)


async def tasks_of(handle: "WorkflowHandle[Any, DisputeState]") -> list[int]:
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id for event in (await handle.fetch_history()).events if event.event_type == done]


async def looked(handle: "WorkflowHandle[Any, DisputeState]", times: int) -> bool:
    history = await handle.fetch_history()
    read = [event for event in history.events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED]
    return len(read) >= times


async def reset(client: Client, handle: "WorkflowHandle[Any, DisputeState]", task: int) -> None:
    """To a task, and without what people sent after it."""
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=str(handle.result_run_id)),
        reason="by an operator",
        workflow_task_finish_event_id=task,
        request_id=secrets.token_hex(8),
        reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
    )
    await client.workflow_service.reset_workflow_execution(request)


@pytest.mark.parametrize("state", list(DisputeState))
async def test_reset_to_any_task_terminated_and_run_again_a_dispute_is_decided_once_and_ends(
    saga: Sagas,
    client: Client,
    database: Database,
    disputes: Disputes,
    statements: Statements,
    dispute: Dispute,
    staff: CustomerId,
    payer: Holder,
    payee: Holder,
    state: DisputeState,
) -> None:
    ways = Ways(saga, disputes, dispute, payee, staff)
    way: Callable[[], Awaitable[WorkflowHandle[Any, DisputeState]]] = getattr(ways, state)
    first = await way()
    if state.is_final:
        assert await first.result() is state
    for task in await tasks_of(first):
        await reset(client, first, task)
        newest = client.get_workflow_handle(dispute.workflow_id, result_type=DisputeState)
        with suppress(RPCError):  # it may have ended already
            await newest.signal(DisputeWorkflow.look_again)
        if state.is_final:
            assert await newest.result() is state
    ways.reversal.released.set()
    if state is DisputeState.OPEN:
        await client.get_workflow_handle(dispute.workflow_id).terminate("by an operator")
        await disputes.decide(dispute.id, reverses(staff, 1_000))
        await start(saga, dispute)
    due = DisputeState.REVERSED if state in (DisputeState.OPEN, DisputeState.REVERSING) else state
    await ends(disputes, dispute, due)
    assert await client.get_workflow_handle(dispute.workflow_id, result_type=DisputeState).result() is due
    assert await (await start(saga, dispute)).result() is due
    taken = 1_000 if due is DisputeState.REVERSED else 0
    assert await balances(statements, payer, payee) == [7_500 + taken, 2_500 - taken]
    actions = await Oversight(database).actions(ActionSearch(subject=dispute.id), 10)
    assert len(actions) == (0 if due is DisputeState.EXPIRED else 1)
