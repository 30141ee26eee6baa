"""The steps of a batch: each goes on behind what is posted, and is safe to repeat."""

from contextlib import suppress
from time import monotonic

from temporalio import activity
from temporalio.client import Client

from activities.recovery import report_progress, workflow_runs
from activities.refusals import refusals_as_answers
from activities.step_records import count_end
from batches.batch import BatchIsOver, BatchProgress, BatchState
from batches.postgres.batches import Batches
from batches.postgres.chunks import BatchPosting
from ledger.ids import BatchId
from ledger.workflow_ids import batch_workflow_id

# One step posts for so long, and says then how far it is. The chunk that it is at is posted to its end.
STEP_SECONDS = 1


class BatchSteps:
    """Steps over the batches of one database. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(self, client: Client, posting: BatchPosting, batches: Batches, grace_seconds: int) -> None:
        self._client = client
        self._posting = posting
        self._batches = batches
        self._grace_seconds = grace_seconds

    @activity.defn
    async def post_batch(self, batch_id: BatchId) -> BatchProgress:
        """Post chunks for about a second. Refuses as `batch_not_found`.

        It ends earlier where the batch has ended, a person has to decide, or items need workflows of their own.
        """
        until = monotonic() + STEP_SECONDS
        with refusals_as_answers():
            while True:
                report_progress()
                progress, written = await self._posting.post_next(batch_id)
                for outcome in written:
                    if outcome.standing is not None:
                        count_end(outcome.order, outcome.standing)
                if progress.posted == progress.total or progress.state is BatchState.HELD or monotonic() >= until:
                    return progress
                if progress.state.is_final:
                    return progress

    @activity.defn
    async def cancel_batch(self, batch_id: BatchId) -> BatchProgress:
        """Cancel what is not posted. A batch that has ended stays as it is. Refuses as `batch_not_found`."""
        with refusals_as_answers():
            with suppress(BatchIsOver):
                await self._batches.cancel(batch_id)
            progress, _ = await self._posting.post_next(batch_id)
        return progress

    @activity.defn
    async def find_stranded_batches(self) -> list[BatchId]:
        """Batches that have not ended and whose workflow does not run."""
        found = await self._batches.open_since(self._grace_seconds)
        return [one for one in found if not await workflow_runs(self._client, batch_workflow_id(one))]
