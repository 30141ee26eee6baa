"""A verifier behind HTTP: an example of an adapter, and a protocol that a small proxy in front of any provider speaks.

`POST {url}` with `{document_id, type, number, full_name}` is answered by `{document_id, outcome, code?}`. The answer is
believed only if it is whole and about the same document. Whatever else comes back is no answer: it is asked again with
the same `Idempotency-Key`, so that a provider counts, and bills, one inquiry for a document.
"""

import asyncio
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from customers.documents.document import (
    NEEDS_A_PERSON,
    PENDING,
    VERIFIED,
    DocumentFinding,
    RejectionCode,
    VerificationState,
)
from customers.documents.verifier import Inquiry, VerifierInDoubt

# One inquiry in all, and each part of it. Less than what a step has, so that it can say what was wrong.
SECONDS = 10
CONNECT_SECONDS = 3
# An answer has a hundred bytes. One that does not end must not fill the memory of a worker.
MOST_BYTES = 16_384


class _VerifierAnswer(BaseModel):
    # More fields are a provider's business. These have to be there, and to have their types.
    model_config = ConfigDict(extra="ignore", strict=True)

    document_id: str
    outcome: Literal["verified", "rejected", "needs_review", "pending"]
    code: str | None = None


class HttpVerifier:
    """Asks one URL, with a bearer token if it is given. It follows no redirect: the number would go with it."""

    def __init__(self, url: str, token: str | None = None, seconds: int = SECONDS) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._seconds = seconds

    def known(self, number: str) -> DocumentFinding | None:  # noqa: ARG002 - only the provider knows
        """Nothing, without asking."""
        return None

    async def find_out(self, inquiry: Inquiry) -> DocumentFinding:
        """See `Verifier`. A code that is none of ours is told as `document_refused`."""
        # Raised anew, and without its cause: errors of HTTP, and of validation, may repeat what was sent or received.
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._asked(inquiry)
        except TimeoutError:
            raise VerifierInDoubt(f"The verifier gave no whole answer within {self._seconds} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise VerifierInDoubt(f"The verifier was not reached: {type(error).__name__}.") from None
        try:
            answer = _VerifierAnswer.model_validate_json(body)
        except ValidationError:
            raise VerifierInDoubt("The verifier's answer is none that this adapter knows.") from None
        if answer.document_id != inquiry.document_id:
            raise VerifierInDoubt("The verifier answered about another document.")
        return _finding(answer)

    async def _asked(self, inquiry: Inquiry) -> bytes:
        sent = {
            "document_id": inquiry.document_id,
            "type": inquiry.type,
            "number": inquiry.number,
            "full_name": inquiry.full_name,
        }
        headers = self._headers | {"Idempotency-Key": inquiry.document_id}
        limits = httpx.Timeout(self._seconds, connect=CONNECT_SECONDS)
        # A client for each inquiry: registrations are few, and no connection outlives a change of the provider.
        async with (
            httpx.AsyncClient(timeout=limits, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", self._url, json=sent, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise VerifierInDoubt(f"The verifier answered with status {response.status_code}.")
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise VerifierInDoubt(f"The verifier's answer has more than {MOST_BYTES} bytes.")
            return body


def _finding(answer: _VerifierAnswer) -> DocumentFinding:
    if answer.outcome != "rejected":
        return {"verified": VERIFIED, "needs_review": NEEDS_A_PERSON, "pending": PENDING}[answer.outcome]
    known = set(RejectionCode)
    code = RejectionCode(answer.code) if answer.code in known else RejectionCode.DOCUMENT_REFUSED
    return DocumentFinding(VerificationState.REJECTED, code)
