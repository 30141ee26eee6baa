"""A step of a sweep that hangs is tried again, and a sweep that never ends is replaced."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import TransferOrder
from tests.orders import Holder, order
from tests.waiting import until
from tests.workflows.sagas import UnreliableBook, sagas
from workflows import policies
from workflows.recovery import RecoveryWorkflow
from workflows.sweeps.schedules import RECOVERY_SCHEDULE, recovery_sweep, schedule_sweep


@workflow.defn(name="RecoveryWorkflow")
class NeverEnds:
    """A sweep that no worker can bring to its end: the code that follows cannot replay it either."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@pytest.fixture
async def lost(book: UnreliableBook, alice: Holder, bob: Holder) -> TransferOrder:
    """A row without a workflow, not yet debited."""
    wanted = order(alice.id, alice.account_id, bob.account_id, 100)
    await book.open_transfer(wanted)
    return wanted


async def has_ended(transfer_reads: TransferReads, wanted: TransferOrder) -> bool:
    found = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
    return found is not None and found.state.is_final


@asynccontextmanager
async def scheduled(client: Client, task_queue: str) -> AsyncIterator[None]:
    await schedule_sweep(client, task_queue, recovery_sweep(timedelta(seconds=1), run_timeout=timedelta(seconds=3)))
    try:
        yield
    finally:
        await client.get_schedule_handle(RECOVERY_SCHEDULE).delete()


async def test_a_run_that_never_ends_is_replaced(
    client: Client, book: UnreliableBook, transfer_reads: TransferReads, lost: TransferOrder
) -> None:
    queue = f"test-{secrets.token_hex(6)}"

    async def wedged() -> str | None:
        async for found in client.list_workflows("WorkflowType='RecoveryWorkflow' AND ExecutionStatus='Running'"):
            if found.task_queue == queue and found.history_length >= 0:
                history = await client.get_workflow_handle(found.id).fetch_history()
                if len(history.events) > 3:
                    return found.id
        return None

    async with scheduled(client, queue):
        async with Worker(client, task_queue=queue, workflows=[NeverEnds], workflow_runner=UnsandboxedWorkflowRunner()):

            async def runs() -> bool:
                return await wedged() is not None

            await until(runs, "a sweep hangs")
        async with sagas(client, book, recovery_grace_seconds=0, task_queue=queue):

            async def is_finished() -> bool:
                return await has_ended(transfer_reads, lost)

            await until(is_finished, "another sweep finished what was lost")


async def test_a_step_of_a_sweep_that_reports_nothing_is_tried_again_soon(
    client: Client, book: UnreliableBook, lost: TransferOrder
) -> None:
    async with sagas(client, book, recovery_grace_seconds=0) as saga:
        run = await client.start_workflow(
            RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=saga.settings.task_queue
        )
        assert (await run.result()).abandoned == [lost.transfer_id]
        asked = [event.activity_task_scheduled_event_attributes for event in (await run.fetch_history()).events]
    limits = {step.activity_type.name: step.heartbeat_timeout.ToTimedelta() for step in asked if step.activity_id}
    assert {name for name, limit in limits.items() if limit == policies.SWEEP_HEARTBEAT} == {
        "find_stranded",
        "find_stranded_disputes",
        "find_stranded_onboardings",
        "find_stranded_rebuilds",
        "find_stranded_batches",
        "find_stranded_tier_requests",
        "wake_webhook_endpoints",
    }
