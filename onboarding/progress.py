"""How far a customer's onboarding has come. Pure: no I/O. It names nobody: workflow histories hold it."""

from dataclasses import dataclass

from customers.documents.document import VerificationState
from ledger.ids import CustomerId, DocumentId


@dataclass(frozen=True, slots=True)
class OnboardingProgress:
    """What the rows say: the newest document, and its state."""

    customer_id: CustomerId
    document_id: DocumentId
    state: VerificationState
