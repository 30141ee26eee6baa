"""Decisions about transfers in review, as requests and answers."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from api.http.fields import Amount, Currency, Cursor, In, Limit, Moment, TransferIdIn
from api.http.problems import ProblemCode
from api.staff.models import ReasonIn
from api.transfers.staff_models import AnyTransferOut
from ledger.ids import AccountId, CustomerId, TransferId
from reviews.review import BatchOfDecisions, Ruling

MOST_AT_ONCE = 1_000


class DecisionIn(ReasonIn):
    """A reviewer's decision. The first one is final."""

    ruling: Ruling


class DecisionsIn(DecisionIn):
    """A reviewer's decision about many transfers: those that it names, or those that they saw in a list.

    For a list, the filter is the list's own, with the time when it was read and how many transfers it had.
    """

    transfer_ids: Annotated[
        list[TransferIdIn] | None, Field(min_length=1, max_length=MOST_AT_ONCE, description="Instead of a filter")
    ] = None
    created_before: Moment | None = Field(
        None, description="When the list was read: what came, or came into review, later is left out"
    )
    total: Annotated[int, Field(strict=True, ge=1, le=MOST_AT_ONCE)] | None = Field(
        None, description="How many transfers the list had: if more match, none is decided"
    )
    account_id: AccountId | None = None
    owner_id: CustomerId | None = None
    currency: Currency | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None

    @model_validator(mode="after")
    def _names_its_transfers(self) -> Self:
        filters = (self.account_id, self.owner_id, self.currency, self.min_amount, self.max_amount)
        listed = (self.created_before, self.total)
        if self.transfer_ids is not None:
            if any(value is not None for value in (*filters, *listed)):
                raise ValueError("Send transfer_ids, or a filter with created_before and total, not both")
        elif None in listed:
            raise ValueError("Send transfer_ids, or a filter with created_before and total: what you saw")
        return self


class DecisionNotTakenOut(BaseModel):
    transfer_id: TransferId
    code: ProblemCode = Field(examples=["too_late"])
    why: str


class DecisionsOut(BaseModel):
    total: int = Field(description="How many transfers matched")
    taken: int = Field(description="Of how many the decision is recorded, now or before")
    refused: list[DecisionNotTakenOut]

    @classmethod
    def of(cls, batch: BatchOfDecisions) -> "DecisionsOut":
        refused = [DecisionNotTakenOut.model_validate(each, from_attributes=True) for each in batch.refused]
        return cls(total=len(batch.taken) + len(refused), taken=len(batch.taken), refused=refused)


class ReviewFilters(BaseModel):
    """Which page of the list."""

    model_config = In.model_config

    limit: Limit = 20
    cursor: Cursor = None


class ReviewDecisionOut(BaseModel):
    decided_by: CustomerId
    ruling: Ruling
    reason: str
    decided_at: datetime


class OpenReviewOut(BaseModel):
    """A transfer that waits for a decision. Whoever is a party of it does not read who has decided."""

    transfer: AnyTransferOut
    began_at: datetime | None = Field(description="Null: it begins within seconds")
    deadline: datetime | None = Field(description="Then it fails as `review_expired`")
    approvals: int | None = Field(description="So many different people must approve it", examples=[2])
    decisions: list[ReviewDecisionOut] = Field(description="Oldest first")


class OpenReviewsOut(BaseModel):
    """A page of reviews that wait, newest transfer first."""

    items: list[OpenReviewOut]
    next_cursor: str | None
