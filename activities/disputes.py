"""The steps of a dispute: each reads or writes its row, once, and is safe to repeat. No money moves here."""

from dataclasses import replace

from temporalio import activity
from temporalio.client import Client

from activities.recovery import workflow_runs
from activities.refusals import refusals_as_answers
from disputes.dispute import DisputeDecision, DisputeProgress
from disputes.postgres.disputes import Disputes
from disputes.postgres.late_reversals import LateReversals
from ledger.fingerprints import Fingerprints
from ledger.ids import DisputeId
from ledger.transfers import Failure
from ledger.workflow_ids import dispute_workflow_id
from staff.permissions import Channel


class DisputeSteps:
    """Steps over the disputes of one database. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(
        self,
        client: Client,
        disputes: Disputes,
        late_reversals: LateReversals,
        fingerprints: Fingerprints,
        grace_seconds: int,
    ) -> None:
        self._client = client
        self._disputes = disputes
        self._late_reversals = late_reversals
        self._fingerprints = fingerprints
        self._grace_seconds = grace_seconds

    @activity.defn
    async def read_dispute(self, dispute_id: DisputeId) -> DisputeProgress:
        """The dispute's state, parties and reversal, as its row records them."""
        with refusals_as_answers():
            return self._signed(await self._disputes.course(dispute_id))

    @activity.defn
    async def decide_dispute(self, dispute_id: DisputeId, decision: DisputeDecision) -> DisputeProgress:
        """Record a decision. Refuses as `forbidden`, `decision_refused` or `dispute_closed`."""
        with refusals_as_answers():
            await self._disputes.decide(dispute_id, decision, Channel.TEMPORAL)
            return self._signed(await self._disputes.course(dispute_id))

    @activity.defn
    async def expire_dispute(self, dispute_id: DisputeId) -> DisputeProgress:
        """Expire a dispute without a decision. The workflow calls this at the deadline."""
        with refusals_as_answers():
            return self._signed(await self._disputes.expire(dispute_id))

    @activity.defn
    async def close_dispute(self, dispute_id: DisputeId, failure: Failure | None) -> DisputeProgress:
        """Close a dispute once its reversal has ended, or could not begin because of `failure`."""
        with refusals_as_answers():
            return self._signed(await self._disputes.close(dispute_id, impossible=failure is not None))

    @activity.defn
    async def find_stranded_disputes(self) -> list[DisputeId]:
        """Disputes that are not over and whose workflow does not run.

        Also ends those whose reversal failed and was retried with success: no workflow waits for that.
        """
        await self._late_reversals.end_all()
        found = await self._disputes.not_closed(self._grace_seconds)
        return [one for one in found if not await workflow_runs(self._client, dispute_workflow_id(one))]

    def _signed(self, progress: DisputeProgress) -> DisputeProgress:
        """The reversal that a decision orders follows from the dispute's row, so this process signs it."""
        if progress.reversal is None:
            return progress
        return replace(progress, reversal=self._fingerprints.signed(progress.reversal))
