"""One sweep over the standing orders: what is due is paid. Rows decide, so it keeps nothing from sweep to sweep."""

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from ledger.transfers import TransferOrder
from standing_orders.occurrence import SweepReport
from workflows import policies, steps
from workflows.search_attributes import search_attributes, summary
from workflows.transfer.saga import TransferWorkflow

# Together they take less than a run may. The next sweep goes on.
MOST_STEPS = 10


@workflow.defn
class StandingOrderSweepWorkflow:
    """Started each minute by a schedule. Safe to run at any time, also while another sweep runs."""

    @workflow.run
    async def run(self) -> SweepReport:
        """Pay what is due, and start the transfers that screening does not let pass at once."""
        report = SweepReport()
        for _ in range(MOST_STEPS):
            report = report.plus(
                await workflow.execute_activity(
                    steps.pay_standing_orders,
                    start_to_close_timeout=policies.SWEEP_ATTEMPT,
                    schedule_to_close_timeout=policies.SWEEP_BUDGET,
                    heartbeat_timeout=policies.SWEEP_HEARTBEAT,
                    retry_policy=policies.UNTIL_ANSWERED,
                    summary="Pay what is due",
                )
            )
            workflow.set_current_details(str(report))
            if not report.more:
                break
        await self._start_transfers()
        return report

    async def _start_transfers(self) -> None:
        found = await workflow.execute_activity(
            steps.find_standing_order_transfers,
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            schedule_to_close_timeout=policies.SWEEP_BUDGET,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Find payments that need a workflow of their own",
        )
        for order in found:
            await self._start(order)

    async def _start(self, order: TransferOrder) -> None:
        """Start it, unless it runs. One that ended without a row of its transfer is started again."""
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
