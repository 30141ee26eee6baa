"""Starts and wakes the workflows that live long, such as those of onboardings, disputes, statements and batches.

No request depends on that, because recovery starts what does not run: where it fails, a line is logged.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from api.temporal_connection import RPC_LIMIT, RPC_SECONDS, TemporalConnection, TemporalUnavailable
from disputes.dispute import Dispute
from ledger.ids import BatchId, CustomerId, RebuildId
from ledger.workflow_ids import (
    batch_workflow_id,
    onboarding_workflow_id,
    rebuild_workflow_id,
    statement_workflow_id,
    tier_request_workflow_id,
)
from statements.statement import StatementKey
from tiers.tier_request import TierRequest
from workflows.books.batch import BatchWorkflow
from workflows.books.rebuild import RebuildWorkflow
from workflows.books.statement import StatementWorkflow
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.customers.tier_request import TierRequestWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.policies import TASK_TIMEOUT

log = structlog.get_logger()

# A decision is recorded when its workflow is nudged, so the request waits less for that.
NUDGE_SECONDS = 1.5


class LongWorkflows(TemporalConnection):
    """Each call is safe to repeat."""

    def begin_onboarding(self, customer_id: CustomerId) -> None:
        """Start the workflow of somebody who has registered, in the background; where that fails, recovery does."""
        self._in_background(self._onboard(customer_id))

    def nudge_onboarding(self, customer_id: CustomerId) -> None:
        """Have the customer's workflow read its rows again, or start it once more. In the background, too."""
        self._in_background(self._onboard(customer_id, signal="look_again"))

    async def _onboard(self, customer_id: CustomerId, signal: str | None = None) -> None:
        await self._start(
            OnboardingWorkflow.run,
            customer_id,
            onboarding_workflow_id(customer_id),
            f"Onboarding of {customer_id}",
            seconds=RPC_SECONDS,
            signal=signal,
        )

    async def start_dispute(self, dispute: Dispute) -> None:
        """Start the dispute's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        await self._start(DisputeWorkflow.run, dispute.id, dispute.workflow_id, dispute.summary)

    async def nudge_dispute(self, dispute: Dispute) -> None:
        """Have the dispute's workflow read its row again. Where none runs, start one; recovery does so otherwise."""
        if not await self._nudge(DisputeWorkflow.look_again, dispute.workflow_id):
            await self.start_dispute(dispute)

    async def start_tier_request(self, request: TierRequest) -> None:
        """Start the request's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        summary = f"Tier {request.tier} for {request.account_id}"
        await self._start(TierRequestWorkflow.run, request.id, tier_request_workflow_id(request.id), summary)

    async def nudge_tier_request(self, request: TierRequest) -> None:
        """Have the request's workflow read its row again. Where none runs, the row says all that it would."""
        await self._nudge(TierRequestWorkflow.look_again, tier_request_workflow_id(request.id))

    async def start_statement(self, key: StatementKey) -> None:
        """Start what adds a long statement up, unless it runs. While Temporal gives no answer, the next sweep does."""
        workflow_id = statement_workflow_id(key.account_id, key.number)
        await self._start(StatementWorkflow.run, key, workflow_id, f"Add up statement {key}")

    async def start_rebuild(self, rebuild_id: RebuildId, what: str) -> None:
        """Start the rebuild's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        summary = f"Rebuild {what} from the entries"
        await self._start(RebuildWorkflow.run, rebuild_id, rebuild_workflow_id(rebuild_id), summary)

    async def start_batch(self, batch_id: BatchId, total: int) -> None:
        """Start the batch's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        await self._start(BatchWorkflow.run, batch_id, batch_workflow_id(batch_id), f"Batch of {total:,} transfers")

    async def nudge_batch(self, batch_id: BatchId) -> None:
        """Have the batch's workflow read its row again. Where none runs, the row says all, or recovery starts one."""
        await self._nudge(BatchWorkflow.look_again, batch_workflow_id(batch_id))

    async def _start(
        self,
        run: Callable[..., Awaitable[object]],
        about: object,
        workflow_id: str,
        summary: str,
        *,
        seconds: float = NUDGE_SECONDS,
        signal: str | None = None,
    ) -> None:
        """Start a workflow about this, unless it runs. One that runs gets the signal, if any."""
        try:
            async with asyncio.timeout(seconds):
                await self._client.start_workflow(
                    run,
                    args=[about],
                    id=workflow_id,
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    start_signal=signal,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=summary,
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the workflow did not start", workflow_id=workflow_id, error=str(error))

    async def _nudge(self, signal: Callable[..., Awaitable[None] | None], workflow_id: str) -> bool:
        """Whether Temporal took the signal."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.get_workflow_handle(workflow_id).signal(signal, args=[], rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the workflow was not nudged", workflow_id=workflow_id, error=str(error))
            return False
        return True
