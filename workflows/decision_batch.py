"""One decision about many transfers in review, with progress that anybody may ask for."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from reviews.review import BatchProgress, DecisionBatch, DecisionNotTaken
from workflows import policies, steps

AT_ONCE = 10


@workflow.defn
class DecisionBatchWorkflow:
    """Sends the decision to each transfer's workflow, which takes or refuses it as if it came alone."""

    @workflow.init
    def __init__(self, batch: DecisionBatch) -> None:
        self._batch = batch
        self._progress = BatchProgress(total=len(batch.workflow_ids), taken=0, refused=[])

    @workflow.run
    async def run(self, batch: DecisionBatch) -> BatchProgress:
        """What became of each. A transfer that cannot take the decision, or does not answer, holds up no other."""
        workflow.set_current_details(self._progress.told)
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._decide(workflow_id, turns) for workflow_id in batch.workflow_ids))
        return self._progress

    @workflow.query(description="How many transfers have taken the decision, which refused it, which did not answer.")
    def progress(self) -> BatchProgress:
        """Where the batch stands."""
        return self._progress

    async def _decide(self, workflow_id: str, turns: asyncio.Semaphore) -> None:
        progress = self._progress
        async with turns:
            try:
                why = await self._send(workflow_id)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                progress.unanswered.append(DecisionNotTaken(workflow_id, str(error.cause or error)))
            else:
                if why is None:
                    progress.taken += 1
                else:
                    progress.refused.append(DecisionNotTaken(workflow_id, why))
        workflow.set_current_details(progress.told)

    async def _send(self, workflow_id: str) -> str | None:
        """None where it was taken, else why not. Raises where there was no answer in time."""
        decision = self._batch.decision
        return await workflow.execute_activity(
            steps.send_decision,
            args=[workflow_id, decision],
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            schedule_to_close_timeout=timedelta(seconds=self._batch.patience_seconds),
            retry_policy=policies.UNTIL_ANSWERED,
            summary=f"{decision.ruling}: {workflow_id}",
        )
