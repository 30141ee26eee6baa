"""What the routes of disputes take and give. Parties are called `payer` and `payee`: neither learns the other's id."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.models import Amount, In, Text
from api.models_admin import Reason
from ledger.disputes import Dispute, DisputeRuling, DisputeState
from ledger.ids import CustomerId, DisputeId, TransferId
from ledger.postgres.disputes import Statement


class DisputeIn(In):
    reason: Annotated[str, Text, Field(max_length=500, examples=["The goods never came"])]


class StatementIn(In):
    text: Annotated[str, Text, Field(max_length=2_000, examples=["They were sent on Monday, parcel 4711"])]


class DisputeDecisionIn(In):
    ruling: DisputeRuling
    reason: Reason = Field(description="Both parties read it")
    amount: Amount | None = Field(None, description="Of a reversal: how much; all that is left where it is not given")


class StatementOut(BaseModel):
    author: Literal["payer", "payee"]
    text: str
    stated_at: datetime


class DisputeOut(BaseModel):
    id: DisputeId
    transfer_id: TransferId
    state: DisputeState
    reason: str
    deadline: datetime
    ruling: DisputeRuling | None
    amount: int | None = Field(description="That was decided to be reversed")
    decided_reason: str | None
    decided_at: datetime | None
    reversal_transfer_id: TransferId | None
    outcome: str | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    statements: list[StatementOut] = Field(description="Oldest first; empty in lists")
    payer_id: CustomerId | None = Field(description="For staff")
    payee_id: CustomerId | None = Field(description="For staff")
    decided_by: CustomerId | None = Field(description="For staff")

    @classmethod
    def of(cls, dispute: Dispute, statements: list[Statement], *, as_staff: bool) -> "DisputeOut":
        return cls(
            id=dispute.id,
            transfer_id=dispute.transfer_id,
            state=dispute.state,
            reason=dispute.reason,
            deadline=dispute.deadline,
            ruling=dispute.ruling,
            amount=dispute.amount_minor,
            decided_reason=dispute.decided_reason,
            decided_at=dispute.decided_at,
            reversal_transfer_id=dispute.reversal_transfer_id,
            outcome=dispute.outcome,
            created_at=dispute.created_at,
            updated_at=dispute.updated_at,
            closed_at=dispute.closed_at,
            statements=[
                StatementOut(
                    author="payer" if said.author_id == dispute.payer_id else "payee",
                    text=said.text,
                    stated_at=said.stated_at,
                )
                for said in statements
            ],
            payer_id=dispute.payer_id if as_staff else None,
            payee_id=dispute.payee_id if as_staff else None,
            decided_by=dispute.decided_by if as_staff else None,
        )


class DisputesOut(BaseModel):
    items: list[DisputeOut]
    next_cursor: str | None
