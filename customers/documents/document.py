"""Identity documents: what a customer shows of themselves, and what was found about it. Pure: no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.ids import CustomerId, DocumentId
from ledger.refusals import ActionRefused


class DocumentType(StrEnum):
    """What kind of document it is: the national number, the bank's number for a person, or a card."""

    NIN = "NIN"
    BVN = "BVN"
    ID_CARD = "ID_CARD"


class VerificationState(StrEnum):
    """What is known of a document. Of a customer, it is the state of their newest document."""

    PENDING = "pending"
    IN_REVIEW = "in_review"
    VERIFIED = "verified"
    REJECTED = "rejected"

    @property
    def is_decided(self) -> bool:
        """Whether nothing changes it any more."""
        return self in (VerificationState.VERIFIED, VerificationState.REJECTED)


class RejectionCode(StrEnum):
    """Why a document is rejected. A closed list: what a provider writes is shown and kept nowhere."""

    NUMBER_UNKNOWN = "number_unknown"
    NAME_MISMATCH = "name_mismatch"
    DOCUMENT_EXPIRED = "document_expired"
    DOCUMENT_REFUSED = "document_refused"


# What the customer reads.
REJECTIONS: Mapping[RejectionCode, str] = {
    RejectionCode.NUMBER_UNKNOWN: "The issuer knows no document with this number. Check it, or send another document.",
    RejectionCode.NAME_MISMATCH: "The document belongs to somebody with another name. Send a document of your own.",
    RejectionCode.DOCUMENT_EXPIRED: "The document is no longer valid. Send another one.",
    RejectionCode.DOCUMENT_REFUSED: "The document was not accepted. Send another one.",
}
assert REJECTIONS.keys() == set(RejectionCode)

# Enough to recognise a number by, and never more than a third of it.
MOST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class DocumentFinding:
    """What a verifier, or a person, found about a document. Only a rejection has a code."""

    state: VerificationState
    code: RejectionCode | None = None

    def __post_init__(self) -> None:
        if (self.code is not None) != (self.state is VerificationState.REJECTED):
            raise ValueError("a rejection has a code, and nothing else has one")


PENDING = DocumentFinding(VerificationState.PENDING)
VERIFIED = DocumentFinding(VerificationState.VERIFIED)
NEEDS_A_PERSON = DocumentFinding(VerificationState.IN_REVIEW)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document that a customer sends, and what is known of it at once. Its `repr` does not show the number."""

    type: DocumentType
    number: str
    finding: DocumentFinding

    def __repr__(self) -> str:
        return f"NewDocument({self.type})"


@dataclass(frozen=True, slots=True)
class IdentityDocument:
    """A document as it may be shown: of its number the last characters only."""

    id: DocumentId
    customer_id: CustomerId
    type: DocumentType
    last_characters: str
    state: VerificationState
    code: RejectionCode | None
    submitted_at: datetime
    decided_at: datetime | None


def last_characters(number: str) -> str:
    """What is shown of a number: at most its last four characters, and at most a third of it."""
    shown = min(MOST_SHOWN, len(number) // 3)
    return number[len(number) - shown :]


@dataclass(eq=False)
class VerifiedAlready(ActionRefused):
    """A verified customer has nothing to show again."""

    code = "identity_verified"
    customer_id: CustomerId

    def __str__(self) -> str:
        return "Your identity is verified already."


@dataclass(eq=False)
class DocumentUndecided(ActionRefused):
    """One document at a time: another one may follow a rejection."""

    code = "document_undecided"
    document_id: DocumentId

    def __str__(self) -> str:
        return "Your last document is still being checked. Send another one if it is rejected."


@dataclass(eq=False)
class NoSuchDocument(ActionRefused):
    """No document has this id."""

    code = "document_not_found"
    document_id: DocumentId

    def __str__(self) -> str:
        return f"There is no document {self.document_id}."


@dataclass(eq=False)
class DocumentDecided(ActionRefused):
    """A decided document keeps its decision; the same decision again is answered as the first one was."""

    code = "document_decided"
    document_id: DocumentId
    state: VerificationState

    def __str__(self) -> str:
        return f"Document {self.document_id} is {self.state} already."


def check_undecided(document: IdentityDocument, finding: DocumentFinding) -> bool:
    """Whether the finding is new. Raises `DocumentDecided` where another one was first."""
    if document.state.is_decided and document.state is not finding.state:
        raise DocumentDecided(document.id, document.state)
    return document.state is not finding.state
