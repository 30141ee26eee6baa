"""Long-lived workflows as workers with a version run them: they go on with the current version of the code.

Transfers need nothing here: such a worker pins what says nothing else. Classes of their own, and not an argument of the
plain ones, because the server turns away every task in which a worker without a version speaks of versions.
"""

from temporalio import workflow
from temporalio.common import VersioningBehavior

from disputes.dispute import DisputeState
from ledger.ids import DisputeId
from ledger.recovery import Sweep
from workflows.dispute import DisputeWorkflow
from workflows.recovery import RecoveryWorkflow


@workflow.defn(name="RecoveryWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedRecovery(RecoveryWorkflow):
    """Pinned, a sweep that never ends would stop recovery with its version: the schedule waits for the sweep to end."""

    @workflow.run
    async def run(self) -> Sweep:
        """As it is told there."""
        return await super().run()


@workflow.defn(name="DisputeWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedDispute(DisputeWorkflow):
    """Pinned, a dispute would keep its version's workers for weeks."""

    @workflow.init
    def __init__(self, dispute_id: DisputeId) -> None:
        super().__init__(dispute_id)

    @workflow.run
    async def run(self, dispute_id: DisputeId) -> DisputeState:
        """As it is told there."""
        return await super().run(dispute_id)
