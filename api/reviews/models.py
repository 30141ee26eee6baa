"""Decisions about transfers in review, as requests and answers."""

from pydantic import BaseModel, Field

from api.http.fields import Amount, Currency
from api.staff.models import ReasonIn
from ledger.ids import AccountId, CustomerId, TransferId
from reviews.review import BatchOfDecisions, Ruling


class DecisionIn(ReasonIn):
    """A reviewer's decision. The first one is final."""

    ruling: Ruling


class DecisionsIn(DecisionIn):
    """A reviewer's decision about everything in review that matches. What is left out does not matter."""

    account_id: AccountId | None = None
    owner_id: CustomerId | None = None
    currency: Currency | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None


class DecisionNotTakenOut(BaseModel):
    transfer_id: TransferId
    code: str = Field(examples=["too_late"])
    why: str


class DecisionsOut(BaseModel):
    total: int = Field(description="How many transfers matched")
    taken: int = Field(description="Of how many the decision is recorded, now or before")
    refused: list[DecisionNotTakenOut]

    @classmethod
    def of(cls, batch: BatchOfDecisions) -> "DecisionsOut":
        refused = [DecisionNotTakenOut.model_validate(each, from_attributes=True) for each in batch.refused]
        return cls(total=len(batch.taken) + len(refused), taken=len(batch.taken), refused=refused)
