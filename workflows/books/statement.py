"""The sums of one long statement.

Its row says how far they have come. This workflow may be terminated, cancelled, reset or started again at any time: it
goes on from there.
"""

from temporalio import workflow

from statements.statement import StatementKey, StatementProgress
from workflows import policies, steps


@workflow.defn
class StatementWorkflow:
    """Ends when all lines are added up."""

    @workflow.run
    async def run(self, statement: StatementKey, steps_at_once: int = policies.STATEMENT_STEPS) -> StatementProgress:
        """Go on until it is ready. After `steps_at_once` steps it continues as new: histories stay short."""
        for _ in range(steps_at_once):
            progress = await workflow.execute_activity(
                steps.add_up_statement,
                statement,
                start_to_close_timeout=policies.STATEMENT_ATTEMPT,
                retry_policy=policies.UNTIL_ANSWERED,
                summary="Add up the next lines",
            )
            workflow.set_current_details(f"Statement {statement}: {progress}")
            if progress.is_ready:
                return progress
        return workflow.continue_as_new(args=[statement, steps_at_once])
