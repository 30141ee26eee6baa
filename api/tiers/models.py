"""Requests for a higher tier as requests and answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.http.fields import In, ListFilters, Text, Whole
from api.ownership.owned import Owned, OwnedPage
from api.staff.models import Reason, ReasonIn
from ledger.ids import AccountId, CustomerId, TierRequestId
from ledger.limits.tier_limits import LAST_TIER
from tiers.tier_request import TierDecision, TierRequest, TierRequestState, TierRuling


class TierRequestFilters(ListFilters):
    """All filters of a request apply together. One that is left out allows everything."""

    state: TierRequestState | None = None


class TierDocumentIn(In):
    """The document that shows more of a customer than the one that they registered with."""

    type: Literal["NIN", "BVN", "ID_CARD"] = Field(examples=["BVN"])
    number: Annotated[str, Text, Field(min_length=5, max_length=50, examples=["98765432109"])]


class TierRequestIn(In):
    tier: Annotated[int, Field(strict=True, ge=2, le=LAST_TIER, examples=[2]), Whole]
    document: TierDocumentIn


class TierDocumentOut(BaseModel):
    type: str = Field(examples=["BVN"])
    last_characters: str = Field(description="All that is ever shown of its number", examples=["109"])


class TierRequestOut(Owned):
    """A request for a higher tier. While it is `open`, staff decide about it."""

    not_found = "tier_request_not_found"

    id: TierRequestId
    account_id: AccountId
    tier: int = Field(description="The tier that is asked for", examples=[2])
    state: TierRequestState
    document: TierDocumentOut
    deadline: datetime = Field(description="An undecided request expires then")
    created_at: datetime
    closed_at: datetime | None
    closed_reason: str | None = Field(description="Why it ended as it did", examples=["The document is genuine"])

    @classmethod
    def of(cls, request: TierRequest) -> "TierRequestOut":
        return cls(
            id=request.id,
            account_id=request.account_id,
            tier=request.tier,
            state=request.state,
            document=TierDocumentOut(type=request.document_type, last_characters=request.last_characters),
            deadline=request.deadline,
            created_at=request.created_at,
            closed_at=request.closed_at,
            closed_reason=request.closed_reason,
        ).owned_by(request.customer_id)


class TierRequestsOut(OwnedPage):
    items: list[TierRequestOut]
    next_cursor: str | None


class TierDecisionIn(ReasonIn):
    """A decision of staff. A person's first one is final."""

    ruling: TierRuling = Field(examples=["approve"])
    reason: Reason = Field(description="The customer can read it", examples=["The document is genuine"])


class TierDecisionOut(BaseModel):
    decided_by: CustomerId
    ruling: TierRuling
    reason: str

    @classmethod
    def of(cls, decision: TierDecision) -> "TierDecisionOut":
        return cls(decided_by=decision.decider, ruling=decision.ruling, reason=decision.reason)


class TierRequestFileOut(TierRequestOut):
    """A request as staff read it."""

    customer_id: CustomerId
    approvals: int = Field(description="How many different people must approve it", examples=[1])

    @classmethod
    def of(cls, request: TierRequest) -> "TierRequestFileOut":
        return cls(
            **TierRequestOut.of(request).model_dump(), customer_id=request.customer_id, approvals=request.approvals
        )


class TierRequestFilesOut(BaseModel):
    items: list[TierRequestFileOut]
    next_cursor: str | None


class TierRequestWithDecisionsOut(TierRequestFileOut):
    """A request with the decisions about it, oldest first."""

    decisions: list[TierDecisionOut]
