"""Who says whether a document is genuine and belongs to its customer. Pure: adapters of providers are elsewhere."""

from dataclasses import dataclass
from typing import Protocol

from customers.documents.document import DocumentFinding
from ledger.ids import CustomerId, DocumentId


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a verifier is asked. The id of the document is the provider's idempotency key: one document, one answer."""

    document_id: DocumentId
    customer_id: CustomerId
    type: str
    number: str
    full_name: str

    def __repr__(self) -> str:
        # Whoever prints an inquiry, a log or a trace, must not print who it is about.
        return f"Inquiry({self.document_id})"


class VerifierInDoubt(Exception):
    """The verifier gave no answer, or one that cannot be believed. Neither yes nor no: it is asked again.

    The message is for logs and workflow histories: it holds nothing of the inquiry, and nothing that a provider wrote.
    """


class Verifier(Protocol):
    """Finds out about documents."""

    def known(self, number: str) -> DocumentFinding | None:
        """What needs no inquiry: it is answered at once, while the customer registers. None: ask."""

    async def find_out(self, inquiry: Inquiry) -> DocumentFinding:
        """Ask, within a time limit of its own. Raises `VerifierInDoubt`; the same inquiry again gets the same answer.

        `pending` is an answer, too: the provider works on it, and is asked again later.
        """
