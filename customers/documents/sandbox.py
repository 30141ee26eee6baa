"""The verifiers that need no provider: documented test numbers, and people who look at every document."""

import asyncio
from collections.abc import Mapping

from customers.documents.document import NEEDS_A_PERSON, VERIFIED, DocumentFinding, RejectionCode, VerificationState
from customers.documents.verifier import Inquiry, VerifierInDoubt

SLOW_SECONDS = 3

REJECTED_NUMBER = "00000000001"
SLOW_NUMBER = "00000000002"
DOWN_NUMBER = "00000000003"
REVIEW_NUMBER = "00000000004"
MISMATCH_NUMBER = "00000000005"

_FINDINGS: Mapping[str, DocumentFinding] = {
    REJECTED_NUMBER: DocumentFinding(VerificationState.REJECTED, RejectionCode.NUMBER_UNKNOWN),
    MISMATCH_NUMBER: DocumentFinding(VerificationState.REJECTED, RejectionCode.NAME_MISMATCH),
    REVIEW_NUMBER: NEEDS_A_PERSON,
}


class SandboxVerifier:
    """Verifies every number at once, except those above. For development: it asks nobody.

    It knows its answers at once, except for the numbers of a verifier that is slow, or down for ever.
    """

    def __init__(self, slow_seconds: int = SLOW_SECONDS) -> None:
        self._slow_seconds = slow_seconds

    def known(self, number: str) -> DocumentFinding | None:
        """The answer, unless the number stands for a verifier that gives none at once."""
        if number in (SLOW_NUMBER, DOWN_NUMBER):
            return None
        return _FINDINGS.get(number, VERIFIED)

    async def find_out(self, inquiry: Inquiry) -> DocumentFinding:
        """The same after `slow_seconds` for the slow number, and never for the one that is down."""
        if inquiry.number == DOWN_NUMBER:
            raise VerifierInDoubt("The verifier does not answer (a test number).")
        if inquiry.number == SLOW_NUMBER:
            await asyncio.sleep(self._slow_seconds)
        return _FINDINGS.get(inquiry.number, VERIFIED)


class PeopleVerify:
    """Sends every document to staff: an installation without a provider believes nobody by itself."""

    def known(self, number: str) -> DocumentFinding | None:  # noqa: ARG002 - the number does not matter
        """Somebody of the staff decides."""
        return NEEDS_A_PERSON

    async def find_out(self, inquiry: Inquiry) -> DocumentFinding:  # noqa: ARG002
        """The same."""
        return NEEDS_A_PERSON
