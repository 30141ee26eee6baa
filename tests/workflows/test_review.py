"""A review: awaited with a deadline, on the terms that it began on, and shown while it waits."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import Ending, Failure, Standing, State, Step, TransferOrder
from reviews.postgres import Reviews
from reviews.review import Decision, ReviewTerms, Ruling
from settings import Settings
from tests.orders import Holder, later_attempt, order
from tests.waiting import until
from tests.workflows.reviewing import decide, in_review, refused
from tests.workflows.sagas import Hold, Sagas, UnreliableBook, details, line_breaks, sagas

REVIEW_SETTINGS = {"review_from_major", "review_deadline_seconds", "review_reminder_seconds"}


@pytest.fixture
async def saga(time_skipping: WorkflowEnvironment, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(time_skipping.client, book, review_from_major=20, four_eyes_from_major=50) as running:
        yield running


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    """25.00 from alice to bob: one reviewer is enough."""
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


async def test_an_approved_transfer_goes_on(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder, approve: Decision
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    await decide(handle, approve)
    assert (await handle.result()).state is State.COMPLETED


async def test_a_rejected_transfer_fails_and_says_so(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder, reject: Decision
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    await decide(handle, reject)
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


async def test_a_review_is_left_to_the_workflow_of_a_later_attempt(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder
) -> None:
    """Else this one would ask again and again to expire what it may not expire."""
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    step, later = Step(wanted.transfer_id, 1), later_attempt(wanted, 2)
    await saga.book.end(Ending(step, Failure("abandoned", "Nobody drove it.")), State.FAILED)
    await saga.book.open_transfer(later)
    await Reviews(saga.book.database, timedelta(0)).begin(Step(wanted.transfer_id, 2), ReviewTerms(9_000, 4_000, 1))
    await handle.signal("review_changed")
    left = await handle.result()
    assert (left.attempt, left.state) == (2, State.IN_REVIEW)


@pytest.mark.parametrize(
    ("deadline", "reminder", "kept"),
    [(86_400, 64_800, 64_800), (3_600, 64_800, 2_700), (3_600, 3_600, 2_700), (3_600, 3_599, 3_599)],
)
def test_a_reminder_that_would_miss_the_deadline_comes_after_three_quarters_of_it(
    deadline: int, reminder: int, kept: int
) -> None:
    read = Settings.model_validate({"review_deadline_seconds": deadline, "review_reminder_seconds": reminder})
    assert read.review_reminder_seconds == kept


async def test_a_review_whose_deadline_alone_was_lowered_reminds_before_it(
    time_skipping: WorkflowEnvironment, book: UnreliableBook, wanted: TransferOrder
) -> None:
    lowered = Settings.model_validate({"review_from_major": 20, "review_deadline_seconds": 3_600})
    async with sagas(time_skipping.client, book, **lowered.model_dump(include=REVIEW_SETTINGS)) as saga:
        handle = await saga.start(wanted)
        ended = await handle.result()
        assert ended.failure is not None
        assert ended.failure.code == "review_expired"
        history = await handle.fetch_history()
    assert len([event for event in history.events if b"remind_reviewers" in event.SerializeToString()]) == 1


async def test_a_decision_that_comes_before_the_review_is_kept_for_it(
    saga: Sagas, wanted: TransferOrder, approve: Decision
) -> None:
    hold = Hold()
    saga.book.before["open"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    deciding = asyncio.create_task(decide(handle, approve))

    async def has_arrived() -> bool:
        history = await handle.fetch_history()
        return any(event.HasField("workflow_execution_update_accepted_event_attributes") for event in history.events)

    await until(has_arrived, "the decision has arrived")
    hold.released.set()
    await deciding
    assert (await handle.result()).state is State.COMPLETED


async def test_a_large_amount_needs_two_different_deciders(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder, approve_too: Decision, approve: Decision
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    handle = await saga.start(large)
    await in_review(transfer_reads, large)
    assert await decide(handle, approve) == await decide(handle, approve)
    assert "has decided" in await refused(handle, "decide", replace(approve, ruling=Ruling.REJECT))
    transfer = await transfer_reads.visible(alice.id, large.transfer_id)
    assert transfer is not None
    assert transfer.state is State.IN_REVIEW
    await decide(handle, approve_too)
    assert (await handle.result()).state is State.COMPLETED


async def test_nobody_decides_without_a_name_a_reason_or_about_their_own_transfer(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, wanted: TransferOrder
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)
    for bad, why in (
        (Decision(" ", Ruling.APPROVE, "fine"), "decider is empty"),
        (Decision(alice.id, Ruling.APPROVE, "fine"), "no operator or admin"),
        (Decision("olu", Ruling.APPROVE, ""), "reason is empty"),
    ):
        assert why in await refused(handle, "decide", bad)
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_a_transfer_in_review_that_is_reset_or_run_twice_keeps_its_decisions(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder, approve_too: Decision, approve: Decision
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    first = await saga.start(large)
    await in_review(transfer_reads, large)
    await decide(first, approve)
    await first.terminate("lost")
    second = await saga.start(large)
    await decide(second, approve_too)
    assert (await second.result()).state is State.COMPLETED


async def test_a_small_transfer_is_not_reviewed(saga: Sagas, alice: Holder, bob: Holder) -> None:
    assert (await saga.run(order(alice.id, alice.account_id, bob.account_id, 1_999))).state is State.COMPLETED


async def test_current_details_say_how_many_approvals_are_missing_and_who_has_approved(
    saga: Sagas, transfer_reads: TransferReads, alice: Holder, bob: Holder, approve: Decision
) -> None:
    large = order(alice.id, alice.account_id, bob.account_id, 5_000)
    handle = await saga.start(large)
    await in_review(transfer_reads, large)
    assert "2 approvals or one rejection is needed" in await details(handle)
    await decide(handle, approve)

    async def is_shown() -> bool:
        shown = await details(handle)
        missing, by = "1 more approval or one rejection is needed", f"Approved by {approve.decider}."
        return missing in shown and by in shown

    await until(is_shown, "the approval is shown")
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED


async def test_a_review_keeps_the_terms_it_began_on(book: UnreliableBook, wanted: TransferOrder) -> None:
    await book.open_transfer(wanted)
    step = Step(wanted.transfer_id, wanted.attempt)
    first = await Reviews(book.database, timedelta(0)).begin(step, ReviewTerms(100, 50, 2))
    again = await Reviews(book.database, timedelta(0)).begin(step, ReviewTerms(9_000, 1, 1))
    assert (again.terms, again.standing) == (first.terms, first.standing)
    await book.end(Ending(step), State.CANCELLED)


async def test_a_review_that_is_reset_ends_on_its_first_deadline_and_reminds_once(
    client: Client, book: UnreliableBook, transfer_reads: TransferReads, wanted: TransferOrder
) -> None:
    deadline, terms = 6, ReviewTerms(6, 1, 1)
    with capture_logs() as logged:
        async with sagas(
            client, book, review_from_major=20, review_deadline_seconds=deadline, review_reminder_seconds=1
        ) as saga:
            handle = await saga.start(wanted)
            await in_review(transfer_reads, wanted)
            step = Step(wanted.transfer_id, wanted.attempt)

            async def is_nearly_over() -> bool:
                return (await Reviews(book.database, timedelta(0)).begin(step, terms)).elapsed_seconds >= deadline - 2

            await until(is_nearly_over, "most of the review has passed")
            await client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=client.namespace,
                    workflow_execution=WorkflowExecution(
                        workflow_id=wanted.workflow_id, run_id=str(handle.result_run_id)
                    ),
                    reason="by an operator",
                    workflow_task_finish_event_id=3,
                    request_id=secrets.token_hex(8),
                )
            )
            again = client.get_workflow_handle(wanted.workflow_id, result_type=Standing)
            ended = await again.result()
    assert (ended.state, ended.failure and ended.failure.code) == (State.FAILED, "review_expired")
    row = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
    assert row is not None
    assert row.completed_at is not None
    assert deadline - 1 <= (row.completed_at - row.created_at).total_seconds() < deadline + 3
    assert [line["event"] for line in logged].count("review still waits for a decision") == 1


async def test_a_review_shows_which_rule_asked_for_it_and_whose_the_accounts_are(
    saga: Sagas, transfer_reads: TransferReads, wanted: TransferOrder, alice: Holder, bob: Holder, reject: Decision
) -> None:
    handle = await saga.start(wanted)
    await in_review(transfer_reads, wanted)

    async def is_shown() -> bool:
        return f"Asked for by the rule amount_review. Parties: {alice.id}, {bob.id}." in await details(handle)

    await until(is_shown, "the current details say why and whose")
    await decide(handle, reject)
    assert (await handle.result()).state is State.FAILED
