"""A customer's way from registered to verified.

The row of the newest document decides what happens next. This workflow may be
terminated, reset or started again at any time, also when it has ended: it reads the rows and continues from there. It
knows ids and states only, so its history holds no name, no address and no number.
"""

from temporalio import workflow

from customers.documents.document import VerificationState
from ledger.ids import CustomerId
from onboarding.progress import OnboardingProgress
from workflows import policies, steps


@workflow.defn
class OnboardingWorkflow:
    """Has the newest document verified, by a provider or, where a person must decide, by staff.

    Whatever verifies it opens the customer's accounts and writes their welcome in the same transaction.
    """

    @workflow.init
    def __init__(self, customer_id: CustomerId) -> None:
        self._id = customer_id
        self._news = False

    @workflow.run
    async def run(self, customer_id: CustomerId) -> VerificationState:  # noqa: ARG002 - the constructor has taken it
        """Have it verified. The result is `verified`, or `rejected`: then another document starts it once more."""
        while True:
            self._news = False
            progress = await self._progress()
            if progress.state is VerificationState.PENDING:
                progress = await self._verified(progress)
            if progress.state is VerificationState.IN_REVIEW:
                await self._decision(progress)
            # What was signalled meanwhile may be another document: a signal is never lost behind the end.
            if progress.state.is_decided and not self._news:
                break
        is_verified = progress.state is VerificationState.VERIFIED
        workflow.set_current_details("Verified." if is_verified else "Rejected. Another document starts this again.")
        return progress.state

    @workflow.signal(description="There is a new document or decision: read the customer's rows again.")
    def look_again(self) -> None:
        """The API sends this after each write. If it is lost, the workflow reads the rows later."""
        self._news = True

    async def _verified(self, progress: OnboardingProgress) -> OnboardingProgress:
        """Ask the verifier until it answers. Meanwhile the customer receives money and sends none."""
        workflow.set_current_details(
            f"Waits for the verifier's answer about {progress.document_id}. The customer sends no money until "
            f"then. Staff may decide instead: POST /v1/admin/documents/{progress.document_id}/decisions"
        )
        found: OnboardingProgress = await workflow.execute_activity(
            steps.verify_document,
            progress.document_id,
            start_to_close_timeout=policies.VERIFIER_ATTEMPT,
            retry_policy=policies.VERIFIER_RETRY,
            summary="Ask the verifier about the document",
        )
        return found

    async def _decision(self, progress: OnboardingProgress) -> None:
        """Wait until staff have decided, or read the rows again after a while: a signal may be lost."""
        workflow.set_current_details(
            f"A person must decide about {progress.document_id}: POST /v1/admin/documents/{progress.document_id}"
            "/decisions. The customer sends no money until then."
        )
        try:
            await workflow.wait_condition(
                lambda: self._news,
                timeout=policies.DOCUMENT_ROUTINE_READ,
                timeout_summary="Next read of the rows",
            )
        except TimeoutError:
            return

    async def _progress(self) -> OnboardingProgress:
        return await workflow.execute_activity(
            steps.read_onboarding,
            self._id,
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary="Read how far it has come",
        )
