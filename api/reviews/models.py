"""Decisions about transfers in review, as requests and answers."""

from pydantic import BaseModel, Field

from api.http.fields import Amount, Currency
from api.staff.models import ReasonIn
from ledger.ids import AccountId, CustomerId
from reviews.review import BatchProgress, Ruling


class DecisionIn(ReasonIn):
    """A reviewer's word. It counts once, and cannot be taken back."""

    ruling: Ruling


class DecisionsIn(DecisionIn):
    """A reviewer's word about everything in review that matches. What is left out does not matter."""

    account_id: AccountId | None = None
    owner_id: CustomerId | None = None
    currency: Currency | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None


class BatchStartedOut(BaseModel):
    id: str
    total: int = Field(description="How many transfers the decision goes to")


class DecisionNotTakenOut(BaseModel):
    workflow_id: str
    why: str


class BatchOut(BaseModel):
    id: str
    total: int
    taken: int
    done: bool
    refused: list[DecisionNotTakenOut]
    unanswered: list[DecisionNotTakenOut] = Field(description="No answer in time: these may take the decision yet")

    @classmethod
    def of(cls, batch_id: str, progress: BatchProgress) -> "BatchOut":
        """Done once each transfer has taken or refused the decision, or was given up waiting for."""
        refused, unanswered = (
            [DecisionNotTakenOut.model_validate(each, from_attributes=True) for each in those]
            for those in (progress.refused, progress.unanswered)
        )
        done = progress.taken + len(refused) + len(unanswered) == progress.total
        return cls(
            id=batch_id,
            total=progress.total,
            taken=progress.taken,
            done=done,
            refused=refused,
            unanswered=unanswered,
        )
