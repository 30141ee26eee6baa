"""The steps of a request for a higher tier: each reads or writes its row, once, and is safe to repeat."""

from temporalio import activity
from temporalio.client import Client

from activities.recovery import workflow_runs
from activities.refusals import refusals_as_answers
from customers.documents.document import VerificationState
from customers.documents.verifier import Verifier, VerifierInDoubt
from ledger.ids import TierRequestId
from ledger.workflow_ids import tier_request_workflow_id
from tiers.postgres.tier_requests import TierRequests
from tiers.tier_request import TierProgress


class TierSteps:
    """Steps over the requests of one database. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(self, client: Client, requests: TierRequests, verifier: Verifier, grace_seconds: int) -> None:
        self._client = client
        self._requests = requests
        self._verifier = verifier
        self._grace_seconds = grace_seconds

    @activity.defn
    async def read_tier_request(self, request_id: TierRequestId) -> TierProgress:
        """The request's state, and how long it stays open. Refuses as `tier_request_not_found`."""
        with refusals_as_answers():
            return await self._requests.progress(request_id)

    @activity.defn
    async def verify_tier_document(self, request_id: TierRequestId) -> TierProgress:
        """Ask the verifier, unless the request is closed, and record its finding.

        A repeat asks once more: the provider answers the same. Raises `VerifierInDoubt`, which is retried, without an
        answer that can be believed.
        """
        with refusals_as_answers():
            inquiry = await self._requests.inquiry(request_id)
            if inquiry is None:
                return await self._requests.progress(request_id)
            finding = await self._verifier.find_out(inquiry)
            if finding.state is VerificationState.PENDING:
                raise VerifierInDoubt("The verifier has no result yet.")
            return await self._requests.record(request_id, finding)

    @activity.defn
    async def expire_tier_request(self, request_id: TierRequestId) -> TierProgress:
        """Close a request without a decision. The workflow calls this at the deadline."""
        with refusals_as_answers():
            return await self._requests.expire(request_id)

    @activity.defn
    async def find_stranded_tier_requests(self) -> list[TierRequestId]:
        """Open requests whose workflow does not run."""
        found = await self._requests.open_since(self._grace_seconds)
        return [one for one in found if not await workflow_runs(self._client, tier_request_workflow_id(one))]
