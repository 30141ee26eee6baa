"""A person's decision about a review: asked of the right people, kept when it comes early, never lost."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import asyncpg
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyExcludeType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD, CustomerId
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import Standing, State, Step, TransferOrder
from reviews.postgres import Reviews
from reviews.review import DECISION_EXAMPLE, DecidedTooLate, Decision, Ruling
from staff.permissions import Role
from staff.update_input import STAFF_REQUEST_EXAMPLE
from tests.orders import Holder, order, promoted
from tests.waiting import until
from tests.workflows.reviewing import decide, in_review, refused, state_of
from tests.workflows.sagas import Hold, Sagas, UnreliableBook, line_breaks, sagas
from tests.workflows.test_stuck import Outage
from workflows import policies
from workflows.transfer.saga import TransferWorkflow

REVIEW_SETTINGS = {"review_from_major", "review_deadline_seconds", "review_reminder_seconds"}


@pytest.fixture
async def saga(time_skipping: WorkflowEnvironment, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(time_skipping.client, book, review_from_major=20, four_eyes_from_major=50) as running:
        yield running


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    """25.00 from alice to bob: one reviewer is enough."""
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            {"decider": "olu", "ruling": "aprove", "reason": "fine"},
            "no ruling `aprove`: say `approve` or `reject`",
        ),
        ({"decider": "olu", "reason": "fine"}, "`ruling` is missing"),
        ({"decider": "olu", "ruling": "approve"}, "`reason` is missing"),
        ({"ruling": "approve", "reason": "fine"}, "`decider` is missing"),
        ({"decider": 7, "ruling": "approve", "reason": "fine"}, "`decider` is not text"),
        ({"decider": "olu", "ruling": "approve", "reason": "f" * 501}, "longer than 500"),
        ({"decider": "olu", "ruling": "approve", "reason": "a\0b"}, "cannot be stored"),
        ("approve", "Send one JSON object"),
        (None, "Send one JSON object"),
    ],
)
async def test_a_decision_that_cannot_be_read_is_refused_with_what_can(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder, said: object, why: str
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    assert why in await refused(handle, "decide", said)
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_an_update_without_anything_is_refused_with_what_to_send(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    for update in ("decide", "give_back"):
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await handle.execute_update(update)
        assert "Send one JSON object, such as {" in str(error.value.cause)
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_the_descriptions_of_updates_show_what_to_send(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    metadata: Any = await handle.query("__temporal_workflow_metadata")
    described = {update.name: update.description for update in metadata.definition.update_definitions}
    assert DECISION_EXAMPLE in described["decide"]
    assert STAFF_REQUEST_EXAMPLE in described["retry_now"]
    assert STAFF_REQUEST_EXAMPLE in described["give_back"]
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_one_person_is_one_decider_under_every_name(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder, approve: Decision
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    handle = await saga.start(large)
    await in_review(transfer_reads, large)
    person = await Customers(saga.book.database).find(CustomerId(approve.decider))
    assert person is not None
    assert approve.decider in await decide(handle, replace(approve, decider=f" {person.email.upper()} "))
    assert approve.decider in await decide(handle, approve)
    reject = replace(approve, ruling=Ruling.REJECT, decider=person.email)
    assert "has decided" in await refused(handle, "decide", reject)
    assert await state_of(transfer_reads, large) is State.IN_REVIEW
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_only_staff_who_are_no_party_decide_and_a_refused_decision_can_be_sent_again(
    saga: Sagas,
    transfer_reads: TransferReads,
    database: Database,
    bob: Holder,
    wanted: TransferOrder,
    approve: Decision,
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    for nobody in ("olu", "olu@example.com", bob.id):
        assert "is no operator or admin" in await refused(handle, "decide", replace(approve, decider=nobody))
    await promoted(database, bob.id, Role.OPERATOR)
    assert "concerns yourself" in await refused(handle, "decide", replace(approve, decider=bob.id))
    await decide(handle, approve)
    assert (await handle.result()).state is State.COMPLETED


async def test_a_decision_about_what_is_completed_and_only_not_told_yet_is_too_late(
    client: Client, book: UnreliableBook, transfer_reads: TransferReads, wanted: TransferOrder, approve: Decision
) -> None:
    async with sagas(client, book) as saga:
        outage = Outage(book.before["notify"])
        handle = await saga.start(wanted)

        async def is_completed() -> bool:
            transfer = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
            return transfer is not None and transfer.state is State.COMPLETED

        await until(is_completed, "the transfer is completed")
        assert "too late to decide: the transfer is completed" in await refused(handle, "decide", approve)
        outage.over = True
        assert (await handle.result()).state is State.COMPLETED


async def test_a_decision_that_is_written_is_never_answered_as_too_late(
    client: Client, book: UnreliableBook, transfer_reads: TransferReads, wanted: TransferOrder, approve: Decision
) -> None:
    """As if its first answer was lost: by the time that it is sent again, the transfer has ended because of it."""
    async with sagas(client, book, review_from_major=20) as saga:
        outage = Outage(book.before["notify"])
        handle = await saga.start(wanted)
        await in_review(transfer_reads, wanted)
        await recorded(saga, wanted, approve)
        await handle.signal(TransferWorkflow.review_changed)

        async def is_completed() -> bool:
            return await state_of(transfer_reads, wanted) is State.COMPLETED

        await until(is_completed, "the transfer is completed")
        assert await decide(handle, approve) == approve.answer
        outage.over = True
        assert (await handle.result()).state is State.COMPLETED


async def test_a_decision_that_the_transfer_overtakes_while_it_is_written_down_is_told_so(
    client: Client,
    book: UnreliableBook,
    transfer_reads: TransferReads,
    database_url: str,
    wanted: TransferOrder,
    approve: Decision,
    approve_too: Decision,
) -> None:
    connection = await asyncpg.connect(database_url)
    async with sagas(client, book, review_from_major=20) as saga:
        handle = await saga.start(wanted)
        await in_review(transfer_reads, wanted)
        async with connection.transaction():
            await connection.execute("SELECT FROM customers WHERE id = $1 FOR UPDATE", approve_too.decider)
            deciding = asyncio.create_task(refused(handle, "decide", approve_too))

            async def waits() -> bool:
                locked = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return bool(locked)

            await until(waits, "the decision is being written down")
            await decide(handle, approve)
        assert "too late to decide" in await deciding
        assert (await handle.result()).state is State.COMPLETED
    await connection.close()


async def test_a_decision_about_a_repeated_deposit_is_refused_and_holds_nothing_up(
    saga: Sagas, bob: Holder, approve: Decision
) -> None:
    first, again = (order(bob.id, WORLD, bob.account_id, 100, transaction_id="bank-1") for _ in range(2))
    await saga.run(first)
    hold = Hold()
    saga.book.before["open"] += [line_breaks, hold]
    handle = await saga.start(again)
    await hold.reached.wait()
    deciding = asyncio.create_task(refused(handle, "decide", approve))

    async def has_arrived() -> bool:
        history = await handle.fetch_history()
        return any(event.HasField("workflow_execution_update_accepted_event_attributes") for event in history.events)

    await until(has_arrived, "the decision has arrived")
    hold.released.set()
    assert f"Nothing to do here: {first.transfer_id} is completed." in await deciding
    assert (await handle.result()).duplicate_of == first.transfer_id


async def recorded(saga: Sagas, wanted: TransferOrder, decision: Decision) -> None:
    """As the API records it, without a nudge."""
    await Reviews(saga.book.database, timedelta(0)).decide(Step(wanted.transfer_id, wanted.attempt), decision)


def is_timer(event: HistoryEvent, *, started: bool) -> bool:
    """Whether a timer was started, or has fired."""
    return event.HasField("timer_started_event_attributes" if started else "timer_fired_event_attributes")


@pytest.mark.parametrize("deadline", [86_400, 300])
async def test_a_decision_whose_nudge_is_lost_is_read_at_the_interval_or_at_the_deadline(
    time_skipping: WorkflowEnvironment,
    book: UnreliableBook,
    transfer_reads: TransferReads,
    wanted: TransferOrder,
    approve: Decision,
    deadline: int,
) -> None:
    async with sagas(
        time_skipping.client,
        book,
        review_from_major=20,
        review_deadline_seconds=deadline,
        review_reminder_seconds=deadline,
    ) as saga:
        handle = await saga.start(wanted)
        await in_review(transfer_reads, wanted)
        await recorded(saga, wanted, approve)
        decided_at = await time_skipping.get_current_time()
        assert (await handle.result()).state is State.COMPLETED
        history = await handle.fetch_history()
    # By the workflow's own timers: the server's clock also passes what other workflows wait for.
    timers = [event.timer_started_event_attributes for event in history.events if is_timer(event, started=True)]
    assert all(timer.start_to_fire_timeout.ToTimedelta() < policies.REVIEW_READ_INTERVAL * 2 for timer in timers)
    after = [event for event in history.events if is_timer(event, started=False)]
    assert len([event for event in after if event.event_time.ToDatetime(UTC) >= decided_at]) <= 1


async def test_a_decision_at_the_api_wakes_the_workflow(
    client: Client, book: UnreliableBook, transfer_reads: TransferReads, wanted: TransferOrder, approve: Decision
) -> None:
    async with sagas(client, book, review_from_major=20) as saga:
        handle = await saga.start(wanted)
        await in_review(transfer_reads, wanted)
        await recorded(saga, wanted, approve)
        await handle.signal(TransferWorkflow.review_changed)
        assert (await handle.result()).state is State.COMPLETED


async def test_a_reset_that_leaves_out_updates_and_signals_forgets_no_approval(
    client: Client,
    book: UnreliableBook,
    transfer_reads: TransferReads,
    alice: Holder,
    bob: Holder,
    approve: Decision,
    approve_too: Decision,
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    async with sagas(client, book, review_from_major=20, four_eyes_from_major=50) as saga:
        handle = await saga.start(large)
        await in_review(transfer_reads, large)
        await decide(handle, approve)
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=large.workflow_id),
                reason="by an operator",
                workflow_task_finish_event_id=3,
                reset_reapply_exclude_types=[
                    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
                    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
                ],
                request_id=secrets.token_hex(8),
            )
        )
        again = client.get_workflow_handle(large.workflow_id, result_type=Standing)
        await recorded(saga, large, approve_too)
        await again.signal(TransferWorkflow.review_changed)
        assert (await again.result()).state is State.COMPLETED
        assert "decide" not in {
            event.workflow_execution_update_accepted_event_attributes.accepted_request.input.name
            for event in (await again.fetch_history()).events
        }


async def test_an_execution_that_ends_between_the_decision_and_the_debit_is_followed_by_one_that_finds_it(
    client: Client,
    book: UnreliableBook,
    transfer_reads: TransferReads,
    wanted: TransferOrder,
    approve: Decision,
    reject: Decision,
) -> None:
    async with sagas(client, book, review_from_major=20) as saga:
        hold = Hold()
        saga.book.before["debit"].append(hold)
        first = await saga.start(wanted)
        await in_review(transfer_reads, wanted)
        await recorded(saga, wanted, approve)
        await first.signal(TransferWorkflow.review_changed)
        await hold.reached.wait()
        await first.terminate("lost")
        with pytest.raises(DecidedTooLate):
            await recorded(saga, wanted, reject)
        second = await saga.start(wanted)
        assert (await second.result()).state is State.COMPLETED
        hold.released.set()
    assert await state_of(transfer_reads, wanted) is State.COMPLETED
