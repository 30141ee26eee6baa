"""Temporal's floor: a workflow that does nothing, on a worker with the product's settings."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from bench.systems.system import Setting, Transfer
from ledger.transfers import State, TransferOrder

TASK_QUEUE = "bench-floor"


@workflow.defn
class NothingWorkflow:
    """Starts and ends."""

    @workflow.run
    async def run(self, order: TransferOrder) -> str:  # noqa: ARG002 - carried as a transfer carries it
        """Return at once."""
        return State.COMPLETED.value


@asynccontextmanager
async def floor(setting: Setting) -> AsyncIterator[Mapping[str, Transfer]]:
    """`eager`: the server returns the first task with its answer to the start, as client and worker share a process.

    `queued`: the worker polls for the first task.
    """
    client = await Client.connect(setting.temporal_address)

    def starting(*, eagerly: bool) -> Transfer:
        async def transfer(order: TransferOrder) -> str:
            handle = await client.start_workflow(
                NothingWorkflow.run,
                order,
                id=f"floor/{order.workflow_id}",
                task_queue=TASK_QUEUE,
                request_eager_start=eagerly,
            )
            return await handle.result()

        return transfer

    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[NothingWorkflow],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_all_modules()
        ),
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
    ):
        yield {"eager": starting(eagerly=True), "queued": starting(eagerly=False)}
