"""The API's line to Temporal: starts transfers, and says when Temporal is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from disputes.dispute import Dispute
from ledger.transfers import TransferOrder
from reviews.review import BatchProgress, DecisionBatch
from workflows.decision_batch import DecisionBatchWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.policies import TASK_TIMEOUT
from workflows.search_attributes import NEEDS_ATTENTION, search_attributes, summary
from workflows.transfer.saga import TransferWorkflow

log = structlog.get_logger()

# A request waits for one answer of Temporal no longer than this.
RPC_LIMIT = timedelta(seconds=5)
# An update waits for the workflow to have done what was asked.
UPDATE_LIMIT = timedelta(seconds=10)
FINGERPRINT = "fingerprint"
# Why an update is refused where no workflow runs that could take it.
NO_WORKFLOW = "no_workflow"
# The most transfers that are listed as needing attention. More than that is an outage, not a list to work through.
MOST_FLAGGED = 10_000


class UpdateRefused(Exception):
    """A workflow does not take what was asked of it. `code` says why in a word, the message in a sentence."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class TemporalUnavailable(Exception):
    """Temporal gave no answer. Whether it accepted the transfer is in doubt; the same request may be repeated."""


@dataclass
class TemporalGateway:
    """Connects on its own, and again after a start without Temporal."""

    connect: Callable[[], Awaitable[Client]]
    task_queue: str
    client: Client | None = None
    connected: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_connecting(self) -> Client:
        """Return once Temporal answers. From then on the client finds its way back by itself."""
        pause = 0.2
        while True:
            try:
                self.client = await self.connect()
            except (RPCError, RuntimeError, OSError) as error:
                log.warning("Temporal does not answer yet", error=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
            else:
                self.connected.set()
                return self.client

    async def ping(self) -> None:
        """Raises `TemporalUnavailable` unless Temporal serves."""
        try:
            healthy = await self._client.service_client.check_health(timeout=timedelta(seconds=2))
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailable(str(error)) from error
        if not healthy:
            raise TemporalUnavailable("Temporal says that it does not serve.")

    async def start(self, order: TransferOrder) -> bool:
        """Start the transfer's workflow. False: there is one already, running or closed, of this or another order.

        Duplicates are rejected, whether the first run still runs or not: a workflow ID never runs a transfer twice,
        and the answer says who was first. Where API and worker share the client, the first task starts eagerly: it
        comes back with this answer instead of going through the task queue.
        """
        try:
            await self._client.start_workflow(
                TransferWorkflow.run,
                order,
                id=order.workflow_id,
                task_queue=self.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                task_timeout=TASK_TIMEOUT,
                request_eager_start=True,
                search_attributes=search_attributes(order),
                memo={FINGERPRINT: order.fingerprint},
                static_summary=summary(order),
                rpc_timeout=RPC_LIMIT,
            )
        except WorkflowAlreadyStartedError:
            return False
        except (RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise  # a defect of ours: asking again would not help
            raise TemporalUnavailable(str(error)) from error
        return True

    async def cancel(self, workflow_id: str) -> None:
        """Ask a transfer's workflow to stop. Says nothing where it has ended, or where Temporal is away."""
        try:
            await self._client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable) as error:
            log.info("the workflow was not told of the cancellation", workflow_id=workflow_id, error=str(error))

    async def update(self, workflow_ids: Sequence[str], name: str, argument: object, update_id: str) -> str:
        """Ask the workflow that runs under one of these ids: its answer. The same update id gets the same answer.

        Raises `UpdateRefused` where the workflow says no or none of them runs, and `TemporalUnavailable` where no
        worker or no server answers in time.
        """
        for workflow_id in workflow_ids:
            handle = self._client.get_workflow_handle(workflow_id)
            try:
                answer: str = await handle.execute_update(
                    name, argument, id=update_id, result_type=str, rpc_timeout=UPDATE_LIMIT
                )
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if isinstance(cause, ApplicationError):
                    raise UpdateRefused(cause.message, code=cause.type or "") from error
                raise UpdateRefused(str(cause)) from error
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise TemporalUnavailable(str(error)) from error
            except (WorkflowUpdateRPCTimeoutOrCancelledError, RuntimeError) as error:
                raise TemporalUnavailable(str(error)) from error
            else:
                return answer
        raise UpdateRefused("No workflow drives the transfer any more.", code=NO_WORKFLOW)

    async def needing_attention(self) -> list[str]:
        """IDs of the workflows that Temporal marks as needing attention, at most `MOST_FLAGGED`.

        Its list lags by about a second: a step that has just been stuck may be missing, one that has healed may be in
        it. Raises `TemporalUnavailable` where Temporal gives no list.
        """
        try:
            found = self._client.list_workflows(
                self._flagged, limit=MOST_FLAGGED, page_size=1000, rpc_timeout=RPC_LIMIT
            )
            return [each.id async for each in found]
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailable(str(error)) from error

    async def count_needing_attention(self, within_seconds: float) -> int:
        """How many there are, in one question. Raises `TemporalUnavailable` where there is no answer in that time."""
        try:
            async with asyncio.timeout(within_seconds):
                return (await self._client.count_workflows(self._flagged)).count
        except (RPCError, RuntimeError, TimeoutError) as error:
            raise TemporalUnavailable(str(error)) from error

    async def start_batch(self, batch_id: str, batch: DecisionBatch) -> None:
        """Start sending a decision to many transfers."""
        try:
            await self._client.start_workflow(
                DecisionBatchWorkflow.run,
                batch,
                id=batch_id,
                task_queue=self.task_queue,
                static_summary=batch.summary,
                rpc_timeout=RPC_LIMIT,
            )
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailable(str(error)) from error

    async def batch_progress(self, batch_id: str) -> BatchProgress | None:
        """Where a batch stands; None: there is no such batch."""
        try:
            return await self._client.get_workflow_handle(batch_id).query(
                DecisionBatchWorkflow.progress, rpc_timeout=UPDATE_LIMIT
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise TemporalUnavailable(str(error)) from error

    async def start_dispute(self, dispute: Dispute) -> None:
        """Start what drives this dispute. Says nothing where that runs, or Temporal is away: recovery starts it."""
        try:
            await self._client.start_workflow(
                DisputeWorkflow.run,
                dispute.id,
                id=dispute.workflow_id,
                task_queue=self.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                task_timeout=TASK_TIMEOUT,
                static_summary=f"Dispute about {dispute.transfer_id}",
                rpc_timeout=RPC_LIMIT,
            )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable) as error:
            log.info("the dispute's workflow was not started", dispute_id=dispute.id, error=str(error))

    async def nudge_dispute(self, dispute: Dispute) -> None:
        """Have the dispute's workflow look at its row. Where none is reached, one is started, by us or by recovery."""
        try:
            handle = self._client.get_workflow_handle(dispute.workflow_id)
            await handle.signal(DisputeWorkflow.look_again, rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable):
            await self.start_dispute(dispute)

    async def fingerprint(self, workflow_id: str) -> str | None:
        """The fingerprint of the order that a workflow was started with; None where Temporal has forgotten it."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_LIMIT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise TemporalUnavailable(str(error)) from error
        found: str | None = await description.memo_value(FINGERPRINT, default=None, type_hint=str)
        return found

    @property
    def _flagged(self) -> str:
        """The list filter: of this service alone, where others share the namespace."""
        queue = self.task_queue.replace("'", "''")
        return f"{NEEDS_ATTENTION.name}=true AND ExecutionStatus='Running' AND TaskQueue='{queue}'"

    @property
    def _client(self) -> Client:
        if self.client is None:
            raise TemporalUnavailable("Temporal has not answered since this process started.")
        return self.client
