"""The statements that each month's end brings, and those that lost their workflow.

The rows say what is missing. A sweep may be terminated, cancelled, reset, or run twice at once.
"""

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from ledger.ids import AccountId
from ledger.workflow_ids import statement_workflow_id
from workflows import policies, steps
from workflows.books.statement import StatementWorkflow

# Before the first one.
NO_ACCOUNT = AccountId("")


@workflow.defn
class StatementSweepWorkflow:
    """Makes the statements of the months that are over for all accounts that lack one. A schedule starts it.

    It also starts what adds up long statements again, where its workflow was lost.
    """

    @workflow.run
    async def run(
        self, after: AccountId = NO_ACCOUNT, made: int = 0, steps_at_once: int = policies.STATEMENT_STEPS
    ) -> int:
        """How many it has made. An account that cannot have its statement is left out; the next sweep tries again."""
        if not after:
            await self._start_lost()
        for _ in range(steps_at_once):
            found = await workflow.execute_activity(
                steps.make_monthly_statements,
                after,
                start_to_close_timeout=policies.SWEEP_ATTEMPT,
                heartbeat_timeout=policies.SWEEP_HEARTBEAT,
                retry_policy=policies.UNTIL_ANSWERED,
                summary="Make last month's statements",
            )
            made, after = made + found.made, found.last
            workflow.set_current_details(f"{made:,} statements made, through account {after or 'none'}.")
            if not found.has_more:
                return made
        return workflow.continue_as_new(args=[after, made, steps_at_once])

    async def _start_lost(self) -> None:
        """Start the workflows of statements that wait for one. Each goes on from its row."""
        lost = await workflow.execute_activity(
            steps.find_stranded_statements,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            heartbeat_timeout=policies.SWEEP_HEARTBEAT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Find long statements without a running workflow",
        )
        for statement in lost:
            try:
                await workflow.start_child_workflow(
                    StatementWorkflow.run,
                    statement,
                    id=statement_workflow_id(statement.account_id, statement.number),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    task_timeout=policies.TASK_TIMEOUT,
                    static_summary=f"Add up statement {statement}, started again",
                )
            except WorkflowAlreadyStartedError:
                continue
