"""Starts and wakes the workflows that live long, such as those of onboardings, disputes, statements and batches.

No request depends on that, because recovery starts what does not run: where it fails, a line is logged.
"""

import asyncio

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
        try:
            async with asyncio.timeout(RPC_SECONDS):
                await self._client.start_workflow(
                    OnboardingWorkflow.run,
                    customer_id,
                    id=onboarding_workflow_id(customer_id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    start_signal=signal,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Onboarding of {customer_id}",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the onboarding's workflow did not start", customer_id=customer_id, error=str(error))

    async def start_dispute(self, dispute: Dispute) -> None:
        """Start the dispute's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    DisputeWorkflow.run,
                    dispute.id,
                    id=dispute.workflow_id,
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=dispute.summary,
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the dispute's workflow did not start", dispute_id=dispute.id, error=str(error))

    async def nudge_dispute(self, dispute: Dispute) -> None:
        """Have the dispute's workflow read its row again. Where none runs, start one; recovery does so otherwise."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                handle = self._client.get_workflow_handle(dispute.workflow_id)
                await handle.signal(DisputeWorkflow.look_again, rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError):
            await self.start_dispute(dispute)

    async def start_tier_request(self, request: TierRequest) -> None:
        """Start the request's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    TierRequestWorkflow.run,
                    request.id,
                    id=tier_request_workflow_id(request.id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Tier {request.tier} for {request.account_id}",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the tier request's workflow did not start", request_id=request.id, error=str(error))

    async def nudge_tier_request(self, request: TierRequest) -> None:
        """Have the request's workflow read its row again. Where none runs, the row says all that it would."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                handle = self._client.get_workflow_handle(tier_request_workflow_id(request.id))
                await handle.signal(TierRequestWorkflow.look_again, rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the tier request's workflow was not nudged", request_id=request.id, error=str(error))

    async def start_statement(self, key: StatementKey) -> None:
        """Start what adds a long statement up, unless it runs. While Temporal gives no answer, the next sweep does."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    StatementWorkflow.run,
                    key,
                    id=statement_workflow_id(key.account_id, key.number),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Add up statement {key}",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the statement's workflow did not start", statement=str(key), error=str(error))

    async def start_rebuild(self, rebuild_id: RebuildId, what: str) -> None:
        """Start the rebuild's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    RebuildWorkflow.run,
                    rebuild_id,
                    id=rebuild_workflow_id(rebuild_id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Rebuild {what} from the entries",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the rebuild's workflow did not start", rebuild_id=rebuild_id, error=str(error))

    async def start_batch(self, batch_id: BatchId, total: int) -> None:
        """Start the batch's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    BatchWorkflow.run,
                    batch_id,
                    id=batch_workflow_id(batch_id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Batch of {total:,} transfers",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the batch's workflow did not start", batch_id=batch_id, error=str(error))

    async def nudge_batch(self, batch_id: BatchId) -> None:
        """Have the batch's workflow read its row again. Where none runs, the row says all, or recovery starts one."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                handle = self._client.get_workflow_handle(batch_workflow_id(batch_id))
                await handle.signal(BatchWorkflow.look_again, rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the batch's workflow was not nudged", batch_id=batch_id, error=str(error))
