"""Long-lived workflows for workers with a version: they continue with the current version of the code.

Transfers need nothing here: such a worker pins every workflow without a behaviour of its own. These are separate
classes because the server rejects the tasks of a worker without a version if a workflow declares such a behaviour.
"""

from temporalio import workflow
from temporalio.common import VersioningBehavior

from batches.batch import BatchProgress
from customers.documents.document import VerificationState
from disputes.dispute import DisputeState
from ledger.ids import AccountId, BatchId, CustomerId, DisputeId, EndpointId, RebuildId, TierRequestId
from ledger.recovery import Sweep
from staff.rebuilds.rebuild import RebuildProgress
from standing_orders.occurrence import SweepReport
from tiers.tier_request import TierRequestState
from workflows import policies
from workflows.books.batch import BatchWorkflow
from workflows.books.rebuild import RebuildWorkflow
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.customers.tier_request import TierRequestWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.recovery import RecoveryWorkflow
from workflows.sweeps.monthly_statements import NO_ACCOUNT, StatementSweepWorkflow
from workflows.sweeps.standing_orders import StandingOrderSweepWorkflow
from workflows.webhooks.webhook_endpoint import WebhookEndpointWorkflow


@workflow.defn(name="RecoveryWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedRecovery(RecoveryWorkflow):
    """Pinned, a sweep that never ends would stop recovery with its version: the schedule waits for the sweep to end."""

    @workflow.run
    async def run(self) -> Sweep:
        """See `RecoveryWorkflow.run`."""
        return await super().run()


@workflow.defn(name="DisputeWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedDispute(DisputeWorkflow):
    """If it were pinned, a dispute would need the workers of its version for weeks."""

    @workflow.init
    def __init__(self, dispute_id: DisputeId) -> None:
        super().__init__(dispute_id)

    @workflow.run
    async def run(self, dispute_id: DisputeId) -> DisputeState:
        """See `DisputeWorkflow.run`."""
        return await super().run(dispute_id)


@workflow.defn(name="OnboardingWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedOnboarding(OnboardingWorkflow):
    """It may wait for staff, or for a verifier, as long as they take."""

    @workflow.init
    def __init__(self, customer_id: CustomerId) -> None:
        super().__init__(customer_id)

    @workflow.run
    async def run(self, customer_id: CustomerId) -> VerificationState:
        """See `OnboardingWorkflow.run`."""
        return await super().run(customer_id)


@workflow.defn(name="TierRequestWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedTierRequest(TierRequestWorkflow):
    """It may wait for staff for weeks."""

    @workflow.init
    def __init__(self, request_id: TierRequestId) -> None:
        super().__init__(request_id)

    @workflow.run
    async def run(self, request_id: TierRequestId) -> TierRequestState:
        """See `TierRequestWorkflow.run`."""
        return await super().run(request_id)


@workflow.defn(name="RebuildWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedRebuild(RebuildWorkflow):
    """It may take hours on large books."""

    @workflow.run
    async def run(self, rebuild_id: RebuildId, steps_at_once: int = policies.REBUILD_STEPS) -> RebuildProgress:
        """See `RebuildWorkflow.run`."""
        return await super().run(rebuild_id, steps_at_once)


@workflow.defn(name="WebhookEndpointWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedWebhookEndpoint(WebhookEndpointWorkflow):
    """It runs as long as its endpoint exists."""

    @workflow.init
    def __init__(self, endpoint_id: EndpointId, steps_at_once: int = policies.DELIVERY_STEPS) -> None:
        super().__init__(endpoint_id, steps_at_once)

    @workflow.run
    async def run(self, endpoint_id: EndpointId, steps_at_once: int = policies.DELIVERY_STEPS) -> None:
        """See `WebhookEndpointWorkflow.run`."""
        await super().run(endpoint_id, steps_at_once)


@workflow.defn(name="StandingOrderSweepWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedStandingOrderSweep(StandingOrderSweepWorkflow):
    """As recovery's: the schedule waits for the sweep to end."""

    @workflow.run
    async def run(self) -> SweepReport:
        """See `StandingOrderSweepWorkflow.run`."""
        return await super().run()


@workflow.defn(name="StatementSweepWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedStatementSweep(StatementSweepWorkflow):
    """As recovery's: the schedule waits for the sweep to end."""

    @workflow.run
    async def run(
        self, after: AccountId = NO_ACCOUNT, made: int = 0, steps_at_once: int = policies.STATEMENT_STEPS
    ) -> int:
        """See `StatementSweepWorkflow.run`."""
        return await super().run(after, made, steps_at_once)


@workflow.defn(name="BatchWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedBatch(BatchWorkflow):
    """A held batch may wait for staff for days."""

    @workflow.init
    def __init__(self, batch_id: BatchId, steps_at_once: int = policies.BATCH_STEPS) -> None:
        super().__init__(batch_id, steps_at_once)

    @workflow.run
    async def run(self, batch_id: BatchId, steps_at_once: int = policies.BATCH_STEPS) -> BatchProgress:
        """See `BatchWorkflow.run`."""
        return await super().run(batch_id, steps_at_once)
