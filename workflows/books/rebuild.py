"""One rebuild: step after step over the accounts, until its row is completed.

The row holds the place of the walk. This workflow may be terminated, cancelled, reset or started again at any time: it
goes on from there.
"""

from temporalio import workflow

from ledger.ids import RebuildId
from staff.rebuilds.rebuild import RebuildProgress, RebuildState
from workflows import policies, steps


@workflow.defn
class RebuildWorkflow:
    """Ends when every account was looked at."""

    @workflow.run
    async def run(self, rebuild_id: RebuildId, steps_at_once: int = policies.REBUILD_STEPS) -> RebuildProgress:
        """Go on until it is completed. After `steps_at_once` steps it continues as new: histories stay short."""
        for _ in range(steps_at_once):
            progress = await workflow.execute_activity(
                steps.rebuild_accounts,
                rebuild_id,
                start_to_close_timeout=policies.REBUILD_ATTEMPT,
                heartbeat_timeout=policies.SWEEP_HEARTBEAT,
                retry_policy=policies.UNTIL_ANSWERED,
                summary="Rebuild the next accounts",
            )
            workflow.set_current_details(f"{progress} `GET /v1/admin/rebuilds/{rebuild_id}` has the report.")
            if progress.state is RebuildState.COMPLETED:
                return progress
        return workflow.continue_as_new(args=[rebuild_id, steps_at_once])
