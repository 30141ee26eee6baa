"""One batch: chunk after chunk, until its rows say that it has ended.

The rows hold the place. This workflow knows the batch's id only. It may be terminated, reset or started again at any
time: it goes on behind what is posted. Cancelled in Temporal, it cancels what is not posted yet.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError, is_cancelled_exception

from batches.batch import BatchProgress, BatchState
from ledger.ids import BatchId
from ledger.transfers import TransferOrder
from workflows import policies, steps
from workflows.search_attributes import search_attributes, summary
from workflows.transfer.saga import TransferWorkflow


@workflow.defn
class BatchWorkflow:
    """Posts a batch. What needs a person's review becomes a transfer with a workflow of its own."""

    @workflow.init
    def __init__(self, batch_id: BatchId, steps_at_once: int = policies.BATCH_STEPS) -> None:
        self._id = batch_id
        self._steps_at_once = steps_at_once
        self._news = False

    @workflow.run
    async def run(self, batch_id: BatchId, steps_at_once: int = policies.BATCH_STEPS) -> BatchProgress:
        """Go on until it has ended. After `steps_at_once` steps it continues as new: histories stay short."""
        try:
            for _ in range(steps_at_once):
                self._news = False
                progress = await self._step(steps.post_batch, "Post the next chunks")
                if progress.state.is_final:
                    return progress
                for order in progress.to_start:
                    if self._news:  # somebody may have cancelled it: the row says
                        break
                    await self._start(order)
                if progress.state is BatchState.HELD:
                    await self._wait_for_decision()
                elif progress.to_start and not self._news:
                    await workflow.sleep(policies.BATCH_SINGLES_PAUSE, summary="Until the single transfers have rows")
        except (asyncio.CancelledError, FailureError) as error:
            if not is_cancelled_exception(error):
                raise
            return await asyncio.shield(asyncio.create_task(self._step(steps.cancel_batch, "Cancel what is left")))
        return workflow.continue_as_new(args=[batch_id, steps_at_once])

    @workflow.signal(description="Read the batch's row again: somebody has decided about it, or cancelled it")
    def look_again(self) -> None:
        """Sent by the API. If it is lost, the batch reads its row after a while by itself."""
        self._news = True

    async def _step(self, step: Callable[[BatchId], Awaitable[BatchProgress]], what: str) -> BatchProgress:
        progress = await workflow.execute_activity(
            step,
            self._id,
            start_to_close_timeout=policies.BATCH_ATTEMPT,
            heartbeat_timeout=policies.BATCH_HEARTBEAT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=what,
        )
        request = "A person has to decide: `POST /v1/admin/batches/…/decisions`. " if _is_held(progress) else ""
        workflow.set_current_details(f"{progress} {request}`GET /v1/admin/batches/{self._id}/items` has the items.")
        return progress

    async def _start(self, order: TransferOrder) -> None:
        """Start the workflow of an item that needs one. It opens the transfer, and screens it again."""
        try:
            await workflow.start_child_workflow(
                TransferWorkflow.run,
                order,
                id=order.workflow_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=policies.TASK_TIMEOUT,
                search_attributes=search_attributes(order),
                static_summary=summary(order),
            )
        except WorkflowAlreadyStartedError:
            return

    async def _wait_for_decision(self) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news, timeout=policies.BATCH_ROUTINE_READ, timeout_summary="Until the row is read again"
            )


def _is_held(progress: BatchProgress) -> bool:
    return progress.state is BatchState.HELD
