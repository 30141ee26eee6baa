"""Transfers as requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from api.http.fields import AccountIdIn, Amount, Currency, CurrencyCode, In, Metadata, PayeeAccountIn, Text
from api.ownership.owned import Owned, OwnedPage
from api.payees.counterparties import EXCHANGED
from api.payees.models import CounterpartyOut
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.refusals import REFUSAL_CODES
from ledger.transfers import Kind, Leg, State, Transfer


class TransferIn(In):
    source_account_id: AccountIdIn
    destination_account_id: PayeeAccountIn = Field(description="The account's id, or its number")
    amount: Amount
    currency: Currency
    note: Annotated[str, Text, Field(max_length=140, examples=["Rent, November"])] | None = None
    metadata: Metadata | None = None


class ReversalIn(In):
    """How much of a transfer is to come back, and why."""

    amount: Amount | None = Field(
        None, description="In the currency's minor unit; all that is left, where it is not given", examples=[4000]
    )
    reason: (
        Annotated[
            str,
            Text,
            Field(max_length=140, description="Both parties read it. Staff must give one", examples=["Sent twice"]),
        ]
        | None
    ) = None


class FailureOut(BaseModel):
    """Why a transfer did not reach its destination."""

    code: str = Field(json_schema_extra={"enum": list(REFUSAL_CODES)}, examples=["insufficient_funds"])
    message: str = Field(examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe is $12.50 short."])


class TransferOut(Owned):
    """A transfer in its current state. A refusal is an outcome: state `failed` or `compensated`, with a failure."""

    not_found = "transfer_not_found"

    id: TransferId
    kind: Kind
    state: State
    source_account_id: AccountId
    destination_account_id: AccountId
    amount: int
    currency: CurrencyCode
    note: str | None
    transaction_id: str | None
    attempt: int
    failure: FailureOut | None
    workflow_id: str | None = Field(description="For its owner: where operators find it in Temporal")
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    reverses_transfer_id: TransferId | None = Field(description="Of a reversal: which transfer it brings back")
    metadata: dict[str, str] | None = Field(description="For its owner: as it was given")

    @classmethod
    def of(cls, transfer: Transfer, reader_id: CustomerId) -> "TransferOut":
        """As `reader_id` may see it.

        The payee learns neither the owner's key, which the workflow's id holds, nor their metadata.
        """
        mine = transfer.owner_id == reader_id
        return cls(
            id=transfer.id,
            kind=transfer.kind,
            state=transfer.state,
            source_account_id=transfer.source_account_id,
            destination_account_id=transfer.destination_account_id,
            amount=transfer.amount_minor,
            currency=transfer.currency,
            note=transfer.order.note,
            transaction_id=transfer.order.transaction_id,
            attempt=transfer.attempt,
            failure=FailureOut.model_validate(transfer.failure, from_attributes=True) if transfer.failure else None,
            workflow_id=transfer.workflow_id if mine else None,
            created_at=transfer.created_at,
            updated_at=transfer.updated_at,
            completed_at=transfer.completed_at,
            reverses_transfer_id=transfer.reverses_transfer_id,
            metadata=transfer.order.metadata if mine else None,
        ).owned_by(*transfer.readers)


class AttemptOut(BaseModel):
    attempt: int
    state: State
    failure: FailureOut | None
    workflow_id: str
    ended_at: datetime | None


class AttemptsOut(Owned):
    not_found = "transfer_not_found"

    items: list[AttemptOut]


class TransfersOut(OwnedPage):
    items: list[TransferOut]
    next_cursor: str | None
    counterparties: dict[AccountId, CounterpartyOut] = Field(description=EXCHANGED)


class ReversalsOut(Owned):
    """What has come back of a transfer, and its reversals, newest first."""

    not_found = "transfer_not_found"

    reversed_amount: int = Field(description="In completed reversals", examples=[4000])
    left_amount: int = Field(description="Neither reversed nor on its way back", examples=[6000])
    items: list[TransferOut]
    next_cursor: str | None


class PostingOut(BaseModel):
    id: str
    leg: Leg
    amount: int
    recorded_at: datetime


class ReceiptOut(Owned):
    """Proof of how a transfer ended: the transfer, its amount in words of the currency, and its postings."""

    not_found = "transfer_not_found"

    transfer: TransferOut
    counterparty: CounterpartyOut | None = Field(description="The other side; null: no money has moved, or it has none")
    amount_text: str = Field(examples=["$1,255.00"])
    postings: list[PostingOut]
