"""Recovery asks Temporal about all transfers at once, and never takes its list's word for a loss."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    ListWorkflowsInput,
    OutboundInterceptor,
    WorkflowExecutionDescription,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.recovery import RUNNING, RecoverySteps
from ledger.postgres.book import Book
from ledger.postgres.customers import Customers
from ledger.transfers import TransferOrder
from tests.orders import funded, holder, order
from tests.waiting import until
from workflows.transfer import TransferWorkflow

RUNS, LOST = 5, 2


class Line(Interceptor):
    """The line to Temporal: counts what is asked, and may lose the answer to a list."""

    def __init__(self) -> None:
        self.described: list[str] = []
        self.lists = 0
        self.lists_work = True

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        line = self

        class Counting(OutboundInterceptor):
            async def describe_workflow(self, input: DescribeWorkflowInput) -> WorkflowExecutionDescription:  # noqa: A002
                line.described.append(input.id)
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


async def test_only_what_the_list_misses_is_asked_about(
    watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    stranded = await RecoverySteps(watched, book, 0, asked_anyway=1_000_000_000).find_stranded()
    assert [found.order for found in stranded] == orders[RUNS:]
    assert line.lists == 1
    assert set(line.described) == {name for found in stranded for name in (found.order.workflow_id, found.recovery_id)}


async def test_a_list_that_lags_strands_nobody(
    client: Client, watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    line.lists_work = False  # as if it knew of none of them yet
    stranded = await RecoverySteps(watched, book, 0).find_stranded()
    assert [found.order for found in stranded] == orders[RUNS:]
    assert {each.workflow_id for each in orders[:RUNS]} <= set(line.described)


async def test_a_list_that_is_wrong_for_good_hides_nothing_for_good(
    client: Client, watched: Client, line: Line, book: Book, orders: list[TransferOrder]
) -> None:
    stranded = await RecoverySteps(watched, book, 0, asked_anyway=1).find_stranded()
    assert [found.order for found in stranded] == orders[RUNS:]
    assert {each.workflow_id for each in orders[:RUNS]} <= set(line.described)
