"""Finishes what lost its workflow, because that was terminated, deleted, or lost with Temporal's database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError, is_cancelled_exception

from ledger.ids import BatchId, CustomerId, DisputeId, EndpointId, RebuildId, TierRequestId
from ledger.recovery import Stranded, Sweep
from ledger.transfers import Step
from ledger.workflow_ids import (
    batch_workflow_id,
    dispute_workflow_id,
    onboarding_workflow_id,
    rebuild_workflow_id,
    tier_request_workflow_id,
)
from workflows import policies, steps
from workflows.books.batch import BatchWorkflow
from workflows.books.rebuild import RebuildWorkflow
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.customers.tier_request import TierRequestWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.search_attributes import search_attributes, summary
from workflows.transfer.saga import TransferWorkflow

AT_ONCE = 10

Id = TypeVar("Id", bound=str)


@workflow.defn
class RecoveryWorkflow:
    """One sweep over all transfers that are not final, started by a schedule.

    Safe to run at any time, also while another sweep runs.
    """

    @workflow.run
    async def run(self) -> Sweep:
        """Resume what is in transit or was decided, and abandon what has not left its source.

        One that fails delays no other.
        """
        found = await workflow.execute_activity(
            steps.find_stranded,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_BUDGET,
            heartbeat_timeout=policies.SWEEP_HEARTBEAT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Find transfers without a running workflow",
        )
        sweep = Sweep(len(found.stranded), [], [], more=found.more)
        turns, until = asyncio.Semaphore(AT_ONCE), workflow.now() + policies.SWEEP_ITEMS_BUDGET
        await asyncio.gather(*(self._finish(stranded, sweep, turns, until) for stranded in found.stranded))
        sweep.disputes.extend(await self._disputes())
        sweep.tier_requests.extend(await self._tier_requests())
        sweep.onboardings.extend(await self._onboardings())
        sweep.rebuilds.extend(await self._rebuilds())
        sweep.batches.extend(await self._batches())
        sweep.endpoints.extend(await self._endpoints())
        disputes = "1 dispute" if len(sweep.disputes) == 1 else f"{len(sweep.disputes)} disputes"
        workflow.set_current_details(
            f"{len(sweep.abandoned)} abandoned, {len(sweep.driven_on)} driven on, {len(sweep.unanswered)} without an "
            f"answer, {disputes} and {len(sweep.onboardings)} onboardings started again."
            f"{' There may be more.' if sweep.more else ''}"
        )
        return sweep

    async def _finish(self, stranded: Stranded, sweep: Sweep, turns: asyncio.Semaphore, until: datetime) -> None:
        """Resume or abandon it, and add it to the result. After `until` it is left to the next sweep."""
        transfer_id = stranded.order.transfer_id
        async with turns:
            if workflow.now() >= until:
                sweep.unanswered[transfer_id] = "The sweep had no time left for it: the next one goes on."
                return
            try:
                if stranded.is_driven_on and await self._drive(stranded, "Resumed by recovery"):
                    sweep.driven_on.append(transfer_id)
                elif not stranded.is_driven_on and await self._abandon(stranded):
                    sweep.abandoned.append(transfer_id)
                    # It finds the transfer ended: it notifies the parties, and shows why it ended.
                    await self._drive(stranded, "Ended by recovery")
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                sweep.unanswered[transfer_id] = str(error.cause or error)

    async def _disputes(self) -> list[DisputeId]:
        find, start = steps.find_stranded_disputes, DisputeWorkflow.run
        return await self._start_again(find, "disputes", start, dispute_workflow_id, "Dispute {}")

    async def _onboardings(self) -> list[CustomerId]:
        find, start = steps.find_stranded_onboardings, OnboardingWorkflow.run
        return await self._start_again(find, "onboardings", start, onboarding_workflow_id, "Onboarding of {}")

    async def _rebuilds(self) -> list[RebuildId]:
        find, start = steps.find_stranded_rebuilds, RebuildWorkflow.run
        return await self._start_again(find, "rebuilds", start, rebuild_workflow_id, "Rebuild {}")

    async def _batches(self) -> list[BatchId]:
        find, start = steps.find_stranded_batches, BatchWorkflow.run
        return await self._start_again(find, "batches", start, batch_workflow_id, "Batch {}")

    async def _tier_requests(self) -> list[TierRequestId]:
        find, start = steps.find_stranded_tier_requests, TierRequestWorkflow.run
        what = "requests for a higher tier"
        return await self._start_again(find, what, start, tier_request_workflow_id, "Tier request {}")

    async def _endpoints(self) -> list[EndpointId]:
        """Signals, and starts where need be: a webhook endpoint's workflow may run and have missed its wake."""
        return await workflow.execute_activity(
            steps.wake_webhook_endpoints,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_BUDGET,
            heartbeat_timeout=policies.SWEEP_HEARTBEAT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Wake webhook endpoints that have something to send",
        )

    async def _start_again(
        self,
        find: Callable[[], Awaitable[list[Id]]],
        what: str,
        start: Callable[..., Awaitable[Any]],
        workflow_id_of: Callable[[Id], str],
        name: str,
    ) -> list[Id]:
        """Start lost workflows again. Each continues from its row."""
        found = await workflow.execute_activity(
            find,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_BUDGET,
            heartbeat_timeout=policies.SWEEP_HEARTBEAT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=f"Find {what} without a running workflow",
        )
        started: list[Id] = []
        for id_ in found:
            try:
                await workflow.start_child_workflow(
                    start,
                    id_,
                    id=workflow_id_of(id_),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    task_timeout=policies.TASK_TIMEOUT,
                    static_summary=f"{name.format(id_)}, started again",
                )
            except WorkflowAlreadyStartedError:
                continue
            started.append(id_)
        return started

    async def _abandon(self, stranded: Stranded) -> bool:
        """Whether the transfer was ended. False: a late step has moved the money meanwhile."""
        return await workflow.execute_activity(
            steps.abandon_stranded,
            Step(stranded.order.transfer_id, stranded.order.attempt),
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_ITEM_BUDGET,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=f"Abandon {summary(stranded.order)}",
        )

    async def _drive(self, stranded: Stranded, why: str) -> bool:
        """Whether a workflow was started for it. False: one runs already."""
        try:
            await workflow.start_child_workflow(
                TransferWorkflow.run,
                stranded.order,
                id=stranded.recovery_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=policies.TASK_TIMEOUT,
                search_attributes=search_attributes(stranded.order),
                static_summary=f"{why}: {summary(stranded.order)}",
            )
        except WorkflowAlreadyStartedError:
            return False
        return True
