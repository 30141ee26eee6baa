"""Recovery asks Temporal about all transfers at once, and never takes its list's word for a loss."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    ListWorkflowsInput,
    OutboundInterceptor,
    WorkflowExecutionDescription,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.recovery import RUNNING, RecoverySteps
from customers.postgres import Customers
from database.connections import Database
from ledger.ids import CustomerId
from ledger.postgres.abandonments import abandonments_of
from ledger.postgres.book import Book
from ledger.recovery import StrandedTransfers
from ledger.rules import ended_by_staff
from ledger.transfers import Ending, Failure, State, Step, TransferOrder
from reviews.postgres import Reviews
from reviews.review import Decision, ReviewTerms, Ruling
from staff.postgres.timeline import Timelines
from staff.postgres.transfer_file import TransferFiles
from tests.orders import funded, holder, order, staff
from tests.waiting import until
from workflows.transfer.saga import TransferWorkflow

RUNS, LOST = 5, 2


class Line(Interceptor):
    """The line to Temporal: counts what is asked, may lose a list, and something may happen meanwhile."""

    def __init__(self) -> None:
        self.described: list[str] = []
        self.lists = 0
        self.lists_work = True
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        line = self

        class Counting(OutboundInterceptor):
            async def describe_workflow(self, input: DescribeWorkflowInput) -> WorkflowExecutionDescription:  # noqa: A002
                line.described.append(input.id)
                if line.meanwhile:
                    await line.meanwhile()
                return await super().describe_workflow(input)

            def list_workflows(self, input: ListWorkflowsInput) -> Any:  # noqa: A002
                line.lists += 1
                if not line.lists_work:
                    raise RPCError("no visibility", RPCStatusCode.UNAVAILABLE, b"")
                return super().list_workflows(input)

        return Counting(next)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def watched(client: Client, line: Line) -> Client:
    config = client.config()
    config["interceptors"] = [line]
    return Client(**config)


@pytest.fixture
async def orders(client: Client, book: Book, customers: Customers) -> AsyncIterator[list[TransferOrder]]:
    """Rows that are not final. The first ones have a workflow, on a queue without a worker; the last ones have none."""
    ada, ben = await funded(customers, book, 10_000), await holder(customers)
    wanted = [order(ada.id, ada.account_id, ben.account_id, 100) for _ in range(RUNS + LOST)]
    for each in wanted:
        await book.open_transfer(each)
    queue = f"test-{secrets.token_hex(6)}"
    running = wanted[:RUNS]
    handles = [
        await client.start_workflow(TransferWorkflow.run, each, id=each.workflow_id, task_queue=queue)
        for each in running
    ]
    try:

        async def all_are_listed() -> bool:
            listed = {found.id async for found in client.list_workflows(RUNNING)}
            return listed >= {each.workflow_id for each in running}

        await until(all_are_listed, "Temporal lists the workflows")
        yield wanted
    finally:
        for handle in handles:
            await handle.terminate()


def orders_of(found: StrandedTransfers) -> list[TransferOrder]:
    return [stranded.order for stranded in found.stranded]


async def test_only_what_the_list_misses_is_asked_about(
    watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    found = await RecoverySteps(watched, book, 0, asked_anyway=1_000_000_000).find_stranded()
    stranded = found.stranded
    assert (orders_of(found), found.more) == (orders[RUNS:], False)
    assert line.lists == 1
    assert set(line.described) == {name for each in stranded for name in (each.order.workflow_id, each.recovery_id)}


async def test_a_list_that_lags_strands_nobody(
    client: Client, watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    line.lists_work = False  # as if it knew of none of them yet
    found = await RecoverySteps(watched, book, 0).find_stranded()
    assert orders_of(found) == orders[RUNS:]
    assert {each.workflow_id for each in orders[:RUNS]} <= set(line.described)


async def test_a_list_that_is_wrong_for_good_hides_nothing_for_good(
    client: Client, watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    found = await RecoverySteps(watched, book, 0, asked_anyway=1).find_stranded()
    assert orders_of(found) == orders[RUNS:]
    assert {each.workflow_id for each in orders[:RUNS]} <= set(line.described)


async def test_one_sweep_finds_at_most_its_limit_and_answers_that_there_are_more(
    client: Client, book: Book, orders: list[TransferOrder]
) -> None:
    steps = RecoverySteps(client, book, 0, at_most=1)
    first = await steps.find_stranded()
    assert (orders_of(first), first.more) == (orders[RUNS : RUNS + 1], True)
    await ActivityEnvironment().run(steps.abandon_stranded, Step(orders[RUNS].transfer_id, 1))
    second = await steps.find_stranded()
    assert (orders_of(second), second.more) == (orders[RUNS + 1 :], False)


async def test_a_sweep_that_has_no_time_left_answers_that_there_are_more(
    client: Client, book: Book, orders: list[TransferOrder]
) -> None:
    assert await RecoverySteps(client, book, 0, within_seconds=0).find_stranded() == StrandedTransfers([], more=True)


async def test_a_transfer_in_transit_is_found_first(client: Client, book: Book, orders: list[TransferOrder]) -> None:
    newest = orders[-1]
    await book.debit(Step(newest.transfer_id, 1, newest.source_account_id))
    found = await RecoverySteps(client, book, 0, at_most=1).find_stranded()
    assert [(each.order, each.state) for each in found.stranded] == [(newest, State.DEBITED)]


async def test_a_transfer_that_ends_while_it_is_asked_about_is_not_lost(
    watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    ending, lost = orders[RUNS:]

    async def end() -> None:
        await book.end(Ending(Step(ending.transfer_id, 1)), State.CANCELLED)

    line.meanwhile = end
    with capture_logs() as logged:
        found = await RecoverySteps(watched, book, 0, asked_anyway=1_000_000_000).find_stranded()
    assert orders_of(found) == [lost]
    assert [each["transfer_id"] for each in logged if "transfer_id" in each] == [lost.transfer_id]


async def test_a_transfer_that_is_decided_after_the_sweep_found_it_is_not_abandoned(
    client: Client, book: Book, database: Database, orders: list[TransferOrder]
) -> None:
    lost, reviews = Step(orders[RUNS].transfer_id, 1), Reviews(database, timedelta(0))
    await reviews.begin(lost, ReviewTerms(3_600, 1_800, approvals=2))
    steps = RecoverySteps(client, book, 0)

    async def is_decided() -> bool:
        found = await steps.find_stranded()
        return next(each.is_decided for each in found.stranded if each.order == orders[RUNS])

    async def approve() -> None:
        await reviews.decide(lost, Decision(await staff(database), Ruling.APPROVE, "known customer"))

    await approve()
    assert not await is_decided()  # two must approve
    await approve()
    assert not await ActivityEnvironment().run(steps.abandon_stranded, lost)
    assert (await reviews.read(lost)).standing.state is State.IN_REVIEW
    assert await is_decided()


async def test_a_sweep_reports_each_transfer_that_it_looks_at(
    client: Client, book: Book, orders: list[TransferOrder]
) -> None:
    reports: list[object] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: reports.append(details)
    found = await environment.run(RecoverySteps(client, book, 0).find_stranded)
    assert orders_of(found) == orders[RUNS:]
    assert len(reports) >= len(orders)


async def test_a_transfer_that_was_rejected_before_its_review_began_ends_as_rejected_and_not_as_abandoned(
    client: Client, book: Book, database: Database, orders: list[TransferOrder]
) -> None:
    lost, reviews = Step(orders[RUNS].transfer_id, 1), Reviews(database, timedelta(0))
    await reviews.decide(lost, Decision(await staff(database), Ruling.REJECT, "known fraud"))
    assert await ActivityEnvironment().run(RecoverySteps(client, book, 0).abandon_stranded, lost)
    ended = await TransferFiles(database).find_transfer(lost.transfer_id)
    assert ended is not None
    assert (ended.state, ended.failure and ended.failure.code) == (State.FAILED, "review_rejected")
    assert ended_by_staff(ended)


async def test_an_attempt_that_recovery_ended_is_on_record_with_the_run_the_reason_and_both_states(
    client: Client, book: Book, database: Database, orders: list[TransferOrder]
) -> None:
    wanted, steps = orders[RUNS], RecoverySteps(client, book, 0)
    lost = Step(wanted.transfer_id, 1)
    await Reviews(database, timedelta(0)).begin(lost, ReviewTerms(3_600, 1_800, approvals=1))
    info = replace(ActivityEnvironment.default_info(), workflow_id="recovery-1", workflow_run_id="run-1")
    for run_id in ("run-1", "run-2"):  # a repeat keeps the first
        environment = ActivityEnvironment()
        environment.info = replace(info, workflow_run_id=run_id)
        assert await environment.run(steps.abandon_stranded, lost)
    file = await TransferFiles(database).read(CustomerId("cus_of_staff"), lost.transfer_id)
    assert file is not None
    (kept,) = file.abandonments
    assert (kept.attempt, kept.workflow_id, kept.run_id) == (1, "recovery-1", "run-1")
    assert (kept.state_before, kept.state_after) == (State.IN_REVIEW, State.FAILED)
    assert kept.reason.startswith("No workflow ran for it, and nothing had happened to it since ")
    timeline = await Timelines(database).read(lost.transfer_id)
    assert timeline is not None
    (event,) = [event for event in timeline.events if event.name == "recovery_ended"]
    assert (event.facts["run"], event.facts["reason"]) == ("run-1", kept.reason)


async def test_a_transfer_that_recovery_could_not_end_leaves_no_record(
    client: Client, book: Book, database: Database, orders: list[TransferOrder]
) -> None:
    lost = orders[RUNS]
    await book.debit(Step(lost.transfer_id, 1, lost.source_account_id))
    assert not await ActivityEnvironment().run(
        RecoverySteps(client, book, 0).abandon_stranded, Step(lost.transfer_id, 1)
    )
    async with database.connection() as connection:
        assert await abandonments_of(connection, lost.transfer_id) == []
    await book.refund(Ending(Step(lost.transfer_id, 1, lost.source_account_id), Failure("account_closed", "gone")))
