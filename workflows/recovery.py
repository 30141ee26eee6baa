"""Finishes transfers that lost their workflow: terminated, forgotten, or gone with an older Temporal."""

import asyncio

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError, is_cancelled_exception

from disputes.dispute import workflow_id_of
from ledger.recovery import Stranded, Sweep
from ledger.transfers import State, Step
from workflows import policies, steps
from workflows.dispute import DisputeWorkflow
from workflows.search_attributes import search_attributes, summary
from workflows.transfer.saga import TransferWorkflow

AT_ONCE = 10


@workflow.defn
class RecoveryWorkflow:
    """One look at all transfers that are not final, started by a schedule. Safe to run at any time, and at once."""

    @workflow.run
    async def run(self) -> Sweep:
        """Drive on what is in transit, and cancel what has not left its source; one that fails holds up no other."""
        found = await workflow.execute_activity(
            steps.find_stranded,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_BUDGET,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Find transfers without a running workflow",
        )
        sweep = Sweep(len(found.stranded), [], [], more=found.more)
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._finish(stranded, sweep, turns) for stranded in found.stranded))
        sweep.disputes.extend(await self._disputes())
        disputes = "1 dispute" if len(sweep.disputes) == 1 else f"{len(sweep.disputes)} disputes"
        workflow.set_current_details(
            f"{len(sweep.cancelled)} cancelled, {len(sweep.driven_on)} driven on, {len(sweep.unanswered)} without an "
            f"answer, {disputes} started again.{' There may be more.' if sweep.more else ''}"
        )
        return sweep

    async def _finish(self, stranded: Stranded, sweep: Sweep, turns: asyncio.Semaphore) -> None:
        """Do what its state asks for, and note what came of it."""
        transfer_id, is_in_transit = stranded.order.transfer_id, stranded.state is State.DEBITED
        async with turns:
            try:
                if is_in_transit and await self._drive_on(stranded):
                    sweep.driven_on.append(transfer_id)
                elif not is_in_transit and await self._cancel(stranded):
                    sweep.cancelled.append(transfer_id)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                sweep.unanswered[transfer_id] = str(error.cause or error)

    async def _disputes(self) -> list[str]:
        """Start again what drives a dispute and was lost. Its row says where to go on."""
        found = await workflow.execute_activity(
            steps.find_stranded_disputes,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_BUDGET,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Find disputes without a running workflow",
        )
        started: list[str] = []
        for dispute_id in found:
            try:
                await workflow.start_child_workflow(
                    DisputeWorkflow.run,
                    dispute_id,
                    id=workflow_id_of(dispute_id),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    task_timeout=policies.TASK_TIMEOUT,
                    static_summary=f"Dispute {dispute_id}, started again",
                )
            except WorkflowAlreadyStartedError:
                continue
            started.append(dispute_id)
        return started

    async def _cancel(self, stranded: Stranded) -> bool:
        """Whether it was still with its source: a step that was late may have moved it meanwhile."""
        return await workflow.execute_activity(
            steps.cancel_stranded,
            Step(stranded.order.transfer_id, stranded.order.attempt),
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_ITEM_BUDGET,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=f"Cancel {summary(stranded.order)}",
        )

    async def _drive_on(self, stranded: Stranded) -> bool:
        """Whether a workflow was started for it; one that runs already needs no second."""
        try:
            await workflow.start_child_workflow(
                TransferWorkflow.run,
                stranded.order,
                id=stranded.recovery_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=policies.TASK_TIMEOUT,
                search_attributes=search_attributes(stranded.order),
                static_summary=summary(stranded.order),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True
