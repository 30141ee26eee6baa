"""The steps of an onboarding: each reads or writes its rows, once, and is safe to repeat. No money moves here."""

from temporalio import activity
from temporalio.client import Client

from activities.recovery import workflow_runs
from activities.refusals import refusals_as_answers
from customers.documents.document import VerificationState
from customers.documents.verifier import Verifier, VerifierInDoubt
from ledger.ids import CustomerId, DocumentId
from ledger.workflow_ids import onboarding_workflow_id
from onboarding.postgres import Onboarding
from onboarding.progress import OnboardingProgress


class OnboardingSteps:
    """Steps over the customers of one database. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(self, client: Client, onboarding: Onboarding, verifier: Verifier, grace_seconds: int) -> None:
        self._client = client
        self._onboarding = onboarding
        self._verifier = verifier
        self._grace_seconds = grace_seconds

    @activity.defn
    async def read_onboarding(self, customer_id: CustomerId) -> OnboardingProgress:
        """The newest document and its state. Refuses as `customer_not_found`."""
        with refusals_as_answers():
            return await self._onboarding.progress(customer_id)

    @activity.defn
    async def verify_document(self, document_id: DocumentId) -> OnboardingProgress:
        """Ask the verifier, unless the document is decided, and record its finding.

        A repeat asks once more: the provider answers the same, because the id of the document is its idempotency key.
        Raises `VerifierInDoubt`, which is retried, without an answer that can be believed.
        """
        with refusals_as_answers():
            inquiry = await self._onboarding.inquiry(document_id)
            if inquiry is None:
                return await self._onboarding.progress_of(document_id)
            finding = await self._verifier.find_out(inquiry)
            if finding.state is VerificationState.PENDING:
                raise VerifierInDoubt("The verifier has no result yet.")
            return await self._onboarding.record(document_id, finding)

    @activity.defn
    async def find_stranded_onboardings(self) -> list[CustomerId]:
        """Customers whose document is not decided and whose workflow does not run."""
        found = await self._onboarding.undecided(self._grace_seconds)
        return [one for one in found if not await workflow_runs(self._client, onboarding_workflow_id(one))]
