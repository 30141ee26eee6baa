"""One decision about many transfers in review, with progress that anybody may ask for."""

import asyncio

from temporalio import workflow

from ledger.reviews import BatchProgress, Decision, DecisionBatch, DecisionRefused
from workflows import policies, steps

AT_ONCE = 10


@workflow.defn
class DecisionBatchWorkflow:
    """Sends the decision to each transfer's workflow, which takes or refuses it as if it came alone."""

    @workflow.init
    def __init__(self, batch: DecisionBatch) -> None:
        self._progress = BatchProgress(total=len(batch.workflow_ids), taken=0, refused=[])

    @workflow.run
    async def run(self, batch: DecisionBatch) -> BatchProgress:
        """What became of each. A transfer that cannot take the decision any more is named, and holds up no other."""
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._decide(workflow_id, batch.decision, turns) for workflow_id in batch.workflow_ids))
        return self._progress

    @workflow.query(description="How many transfers have taken the decision, and which refused it.")
    def progress(self) -> BatchProgress:
        """Where the batch stands."""
        return self._progress

    async def _decide(self, workflow_id: str, decision: Decision, turns: asyncio.Semaphore) -> None:
        async with turns:
            why = await workflow.execute_activity(
                steps.send_decision,
                args=[workflow_id, decision],
                start_to_close_timeout=policies.REGULAR_ATTEMPT,
                schedule_to_close_timeout=policies.SWEEP_BUDGET,
                retry_policy=policies.UNTIL_ANSWERED,
                summary=f"{decision.ruling}: {workflow_id}",
            )
        if why is None:
            self._progress.taken += 1
        else:
            self._progress.refused.append(DecisionRefused(workflow_id, why))
        workflow.set_current_details(
            f"{self._progress.taken + len(self._progress.refused)} of {self._progress.total} decided."
        )
