"""The steps as workflows see them: names, arguments and answers. `activities/` holds what they do.

A test compares each signature with its activity. Every step answers the same however often it runs; a refusal arrives
as an `ApplicationError` whose type is the refusal's code, a step that the state forbids as `IllegalTransition`, and
anything else is in doubt.
"""

from temporalio import activity

from batches.batch import BatchProgress
from disputes.dispute import DisputeDecision, DisputeProgress
from ledger.ids import AccountId, BatchId, CustomerId, DisputeId, DocumentId, EndpointId, RebuildId, TierRequestId
from ledger.recovery import StrandedTransfers
from ledger.transfers import Ending, Failure, Opened, ScreenedStep, Standing, Step, TransferOrder
from onboarding.progress import OnboardingProgress
from reviews.review import Decision, Review
from screening.rules import Verdict
from staff.permissions import Action
from staff.rebuilds.rebuild import RebuildProgress
from staff.update_input import StaffRequest
from standing_orders.occurrence import SweepReport
from statements.statement import MonthlyStatements, StatementKey, StatementProgress
from tiers.tier_request import TierProgress
from webhooks.endpoint import Drained


@activity.defn
async def open_transfer(order: TransferOrder) -> Opened:
    """Write the transfer's row; say where it stands and what would refuse it today."""
    raise NotImplementedError


@activity.defn
async def screen_transfer(order: TransferOrder) -> Verdict:
    """Ask the screening rules; a provisional answer needs facts, or has to be kept."""
    raise NotImplementedError


@activity.defn
async def screen_with_facts(order: TransferOrder) -> Verdict:
    """Ask the screening rules with the facts that they need, and keep the verdict and its flags."""
    raise NotImplementedError


@activity.defn
async def begin_review(order: TransferOrder) -> Review:
    """Let the transfer wait for a decision; the answer has its terms, and what was decided so far."""
    raise NotImplementedError


@activity.defn
async def read_review(step: Step) -> Review:
    """The review as its rows tell it now."""
    raise NotImplementedError


@activity.defn
async def expire_review(step: Step) -> Review:
    """Fail the transfer, unless its review was decided before."""
    raise NotImplementedError


@activity.defn
async def record_decision(step: Step, decision: Decision) -> Decision:
    """Record a decision that somebody typed in Temporal, or refuse it. The same one again finds it recorded."""
    raise NotImplementedError


@activity.defn
async def record_staff_action(order: TransferOrder, action: Action, request: StaffRequest, update_id: str) -> None:
    """Record what staff request, once an update, or refuse it."""
    raise NotImplementedError


@activity.defn
async def remind_reviewers(order: TransferOrder) -> None:
    """Remind the reviewers, once, that a transfer waits for a decision."""
    raise NotImplementedError


@activity.defn
async def debit_source(step: ScreenedStep) -> Standing:
    """Take the amount from the source into clearing, or refuse."""
    raise NotImplementedError


@activity.defn
async def credit_destination(step: Step) -> Standing:
    """Hand the amount from clearing to the destination, or refuse."""
    raise NotImplementedError


@activity.defn
async def refund_source(ending: Ending) -> Standing:
    """Return the amount from clearing to the source. Never refused."""
    raise NotImplementedError


@activity.defn
async def fail_transfer(ending: Ending) -> Standing:
    """End a transfer that was refused before its debit."""
    raise NotImplementedError


@activity.defn
async def cancel_transfer(ending: Ending) -> Standing:
    """End a transfer that was cancelled before its debit."""
    raise NotImplementedError


@activity.defn
async def find_stranded() -> StrandedTransfers:
    """Find transfers that are not final and have no running workflow, up to a limit; those in transit first."""
    raise NotImplementedError


@activity.defn
async def abandon_stranded(step: Step) -> bool:
    """End a transfer that has not left its source; False: it has, meanwhile."""
    raise NotImplementedError


@activity.defn
async def find_stranded_disputes() -> list[DisputeId]:
    """Find disputes that are not over and have no running workflow."""
    raise NotImplementedError


@activity.defn
async def read_dispute(dispute_id: DisputeId) -> DisputeProgress:
    """Say where a dispute stands."""
    raise NotImplementedError


@activity.defn
async def decide_dispute(dispute_id: DisputeId, decision: DisputeDecision) -> DisputeProgress:
    """Rule, or refuse."""
    raise NotImplementedError


@activity.defn
async def expire_dispute(dispute_id: DisputeId) -> DisputeProgress:
    """End a dispute that nobody decided."""
    raise NotImplementedError


@activity.defn
async def close_dispute(dispute_id: DisputeId, failure: Failure | None) -> DisputeProgress:
    """End a dispute whose reversal has ended, or could not begin."""
    raise NotImplementedError


@activity.defn
async def notify_parties(order: TransferOrder, standing: Standing) -> None:
    """Leave each party one message about how the transfer ended."""
    raise NotImplementedError


@activity.defn
async def read_onboarding(customer_id: CustomerId) -> OnboardingProgress:
    """Say how far a customer's onboarding has come."""
    raise NotImplementedError


@activity.defn
async def verify_document(document_id: DocumentId) -> OnboardingProgress:
    """Ask the verifier about a document, and record what it found."""
    raise NotImplementedError


@activity.defn
async def find_stranded_onboardings() -> list[CustomerId]:
    """Find customers whose document is not decided and who have no running workflow."""
    raise NotImplementedError


@activity.defn
async def read_tier_request(request_id: TierRequestId) -> TierProgress:
    """Say how far a request for a higher tier has come."""
    raise NotImplementedError


@activity.defn
async def verify_tier_document(request_id: TierRequestId) -> TierProgress:
    """Ask the verifier about the document of a request, and record what it found."""
    raise NotImplementedError


@activity.defn
async def expire_tier_request(request_id: TierRequestId) -> TierProgress:
    """Close a request that nobody decided."""
    raise NotImplementedError


@activity.defn
async def find_stranded_tier_requests() -> list[TierRequestId]:
    """Find open requests for a higher tier that have no running workflow."""
    raise NotImplementedError


@activity.defn
async def rebuild_accounts(rebuild_id: RebuildId) -> RebuildProgress:
    """Rebuild the next accounts that are not as their entries require."""
    raise NotImplementedError


@activity.defn
async def find_stranded_rebuilds() -> list[RebuildId]:
    """Find rebuilds that are not completed and have no running workflow."""
    raise NotImplementedError


@activity.defn
async def add_up_statement(statement: StatementKey) -> StatementProgress:
    """Add the next lines of a statement to its sums."""
    raise NotImplementedError


@activity.defn
async def find_stranded_statements() -> list[StatementKey]:
    """Find statements that are not ready and have no running workflow."""
    raise NotImplementedError


@activity.defn
async def post_batch(batch_id: BatchId) -> BatchProgress:
    """Post the next chunks of a batch for about a second, or begin with what needs a workflow of its own."""
    raise NotImplementedError


@activity.defn
async def make_monthly_statements(after: AccountId) -> MonthlyStatements:
    """Make last month's statements of some accounts behind this one."""
    raise NotImplementedError


@activity.defn
async def cancel_batch(batch_id: BatchId) -> BatchProgress:
    """Post nothing more of a batch, because its workflow was cancelled in Temporal."""
    raise NotImplementedError


@activity.defn
async def find_stranded_batches() -> list[BatchId]:
    """Find batches that have not ended and have no running workflow."""
    raise NotImplementedError


@activity.defn
async def deliver_events(endpoint_id: EndpointId) -> Drained:
    """Send what is due to a webhook endpoint, and for a moment what comes behind it."""
    raise NotImplementedError


@activity.defn
async def wake_webhook_endpoints() -> list[EndpointId]:
    """Wake the workflows of endpoints that have had something due for a while."""
    raise NotImplementedError


@activity.defn
async def pay_standing_orders() -> SweepReport:
    """Pay what is due, as far as the time of one step allows."""
    raise NotImplementedError


@activity.defn
async def find_standing_order_transfers() -> list[TransferOrder]:
    """Find payments that go on in a workflow of their own, and have none yet."""
    raise NotImplementedError
