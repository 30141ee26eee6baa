"""Identity documents as requests and answers. Of a number, answers show the last characters only."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.http.fields import In, ListFilters
from api.ownership.owned import Owned, OwnedPage
from api.staff.models import ReasonIn
from customers.customer import Customer
from customers.documents.document import (
    PENDING,
    REJECTIONS,
    DocumentFinding,
    DocumentType,
    IdentityDocument,
    NewDocument,
    RejectionCode,
    VerificationState,
)
from customers.documents.verifier import Verifier
from ledger.ids import CustomerId, DocumentId

Ending = Annotated[str, Field(description="The last characters of the number, which is never shown", examples=["5667"])]


class DocumentFilters(ListFilters):
    """All filters of a request apply together. One that is left out allows everything."""

    state: VerificationState | None = None


class IdentityDocumentIn(In):
    type: DocumentType
    number: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 /-]{2,31}$"), Field(examples=["22334455667"])
    ]

    def known_to(self, verifier: Verifier) -> NewDocument:
        """The document, with what the verifier knows of it without being asked."""
        return NewDocument(self.type, self.number, verifier.known(self.number) or PENDING)


class VerificationOut(BaseModel):
    """Whether a customer is who they say they are: the state of their newest document.

    Until it is `verified`, money leaves their accounts only by a reversal. `code` and `reason` say why it was rejected.
    """

    state: VerificationState
    code: RejectionCode | None
    reason: str | None = Field(examples=[None])
    document_type: DocumentType
    number_ends_with: Ending

    @classmethod
    def of(cls, customer: Customer) -> "VerificationOut | None":
        """None: they are staff who never showed a document."""
        if customer.verification is None:
            return None
        assert customer.identity_document_type is not None
        assert customer.identity_document_end is not None
        return cls(
            state=customer.verification,
            code=customer.rejection_code,
            reason=REJECTIONS[customer.rejection_code] if customer.rejection_code else None,
            document_type=customer.identity_document_type,
            number_ends_with=customer.identity_document_end,
        )


class DocumentOut(Owned):
    """`code` and `reason` say why a document was rejected."""

    not_found = "document_not_found"

    id: DocumentId
    customer_id: CustomerId
    type: DocumentType
    number_ends_with: Ending
    state: VerificationState
    code: RejectionCode | None
    reason: str | None = Field(examples=[None])
    submitted_at: datetime
    decided_at: datetime | None

    @classmethod
    def of(cls, document: IdentityDocument) -> "DocumentOut":
        return cls(
            id=document.id,
            customer_id=document.customer_id,
            type=document.type,
            number_ends_with=document.last_characters,
            state=document.state,
            code=document.code,
            reason=REJECTIONS[document.code] if document.code else None,
            submitted_at=document.submitted_at,
            decided_at=document.decided_at,
        ).owned_by(document.customer_id)


class DocumentsOut(OwnedPage):
    items: list[DocumentOut]
    next_cursor: str | None


class DocumentDecisionIn(ReasonIn):
    """`code` tells the customer why a document is rejected; `reason` is for the record, and for staff."""

    decision: Literal["verify", "reject"]
    code: RejectionCode | None = Field(None, description="Of a rejection; default: document_refused")

    @property
    def finding(self) -> DocumentFinding:
        if self.decision == "verify":
            return DocumentFinding(VerificationState.VERIFIED)
        return DocumentFinding(VerificationState.REJECTED, self.code or RejectionCode.DOCUMENT_REFUSED)
