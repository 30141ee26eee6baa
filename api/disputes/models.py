"""Disputes as requests and answers. Parties are `payer` and `payee`: neither learns the other's id."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.http.fields import Amount, In, ListFilters, Text
from api.ownership.owned import Owned, OwnedPage
from api.staff.models import Reason
from disputes.dispute import Dispute, DisputeRuling, DisputeState
from disputes.postgres.dispute_reads import DisputeStatement
from ledger.ids import CustomerId, DisputeId, TransferId
from staff.permissions import Channel


class DisputeFilters(ListFilters):
    """All filters of a request apply together. One that is left out allows everything."""

    state: DisputeState | None = None


class DisputeIn(In):
    """A payer's objection to a completed transfer."""

    reason: Annotated[
        str,
        Text,
        Field(
            max_length=500, description="The reason; the payee and staff can read it", examples=["The goods never came"]
        ),
    ]


class StatementIn(In):
    """A party's statement. It cannot be changed or removed."""

    text: Annotated[
        str,
        Text,
        Field(
            max_length=2_000,
            description="The other party and staff can read it",
            examples=["They were sent on Monday, parcel 4711"],
        ),
    ]


class DisputeDecisionIn(In):
    """A decision by staff. It is final."""

    ruling: DisputeRuling = Field(description="Reverse the transfer, or reject the dispute", examples=["reverse"])
    reason: Reason = Field(description="Both parties can read it", examples=["No proof of delivery"])
    amount: Amount | None = Field(
        None,
        description="The amount to reverse, in the currency's minor unit; by default all that is left",
        examples=[6000],
    )


class StatementOut(BaseModel):
    """A party's statement and its time."""

    author: Literal["payer", "payee"]
    text: str = Field(examples=["They were sent on Monday, parcel 4711"])
    stated_at: datetime


class DisputeOut(Owned):
    """A dispute: the payer's objection, both parties' statements, the decision of staff and its outcome."""

    not_found = "dispute_not_found"

    id: DisputeId = Field(examples=["dsp_fcunsiksm3ppucbrdqutxaufvi"])
    transfer_id: TransferId = Field(description="The disputed transfer", examples=["trf_iuwbh4hkzdez5j5ag3ea6cau2u"])
    state: DisputeState = Field(examples=["reversed"])
    reason: str = Field(description="The payer's objection", examples=["The goods never came"])
    deadline: datetime = Field(description="An undecided dispute expires then")
    ruling: DisputeRuling | None = Field(description="Null until it is decided", examples=["reverse"])
    amount: int | None = Field(description="The amount to reverse, by the decision", examples=[6000])
    decided_reason: str | None = Field(examples=["No proof of delivery"])
    decided_at: datetime | None
    reversal_transfer_id: TransferId | None = Field(
        description="The reversal, completed or failed", examples=["trf_kmny7whqmhlvztmx66nmd4wnzq"]
    )
    outcome: str | None = Field(
        description="How the closed dispute ended, in a sentence", examples=["$60.00 was brought back to the payer."]
    )
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = Field(description="Null while the dispute is open or its reversal is in progress")
    statements: list[StatementOut] = Field(description="Oldest first; empty in lists")
    payer_id: CustomerId | None = Field(description="For staff only")
    payee_id: CustomerId | None = Field(description="For staff only")
    decided_by: CustomerId | None = Field(description="For staff only")
    held_amount: int | None = Field(
        description="For staff only: held of the payee's account until it is decided", examples=[10000]
    )
    decided_channel: Channel | None = Field(description="For staff only: `api`, or `temporal` for its Web UI or CLI")

    @classmethod
    def of(cls, dispute: Dispute, statements: list[DisputeStatement], *, as_staff: bool) -> "DisputeOut":
        shown = cls(
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
                    author="payer" if statement.author_id == dispute.payer_id else "payee",
                    text=statement.text,
                    stated_at=statement.stated_at,
                )
                for statement in statements
            ],
            payer_id=dispute.payer_id if as_staff else None,
            payee_id=dispute.payee_id if as_staff else None,
            decided_by=dispute.decided_by if as_staff else None,
            held_amount=dispute.held_minor if as_staff else None,
            decided_channel=dispute.decided_channel if as_staff else None,
        ).owned_by(*dispute.parties)
        return shown.shown_to_staff() if as_staff else shown


class DisputesOut(OwnedPage):
    """A page of disputes, newest first."""

    items: list[DisputeOut]
    next_cursor: str | None
