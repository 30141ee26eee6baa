"""Transfers as staff see them."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.staff.models import ActionOut
from api.transfers.models import AttemptOut, TransferOut
from ledger.ids import AccountId, CustomerId, PostingId
from ledger.transfers import Leg, State, Transfer
from staff.postgres.transfer_file import TransferFile


class AnyTransferOut(TransferOut):
    """A transfer as staff see it: whose it is, under which key, and where its workflow is."""

    owner_id: CustomerId
    idempotency_key: str
    temporal_url: str | None = Field(description="In Temporal's Web UI, where that is known")

    @classmethod
    def for_staff(cls, transfer: Transfer, temporal_url: str | None) -> "AnyTransferOut":
        return cls(
            **TransferOut.of(transfer, transfer.owner_id).model_dump(),
            owner_id=transfer.owner_id,
            idempotency_key=transfer.order.idempotency_key,
            temporal_url=temporal_url,
        )


class AnyTransfersOut(BaseModel):
    items: list[AnyTransferOut]
    next_cursor: str | None


class PostingFactOut(BaseModel):
    id: PostingId
    attempt: int
    leg: Leg
    debit_account_id: AccountId
    credit_account_id: AccountId
    amount: int = Field(validation_alias="amount_minor")
    recorded_at: datetime


class EntryFactOut(BaseModel):
    """What a posting did to one account. `amount` is signed: negative where money left."""

    account_id: AccountId
    version: int
    attempt: int
    leg: Leg
    amount: int = Field(validation_alias="amount_minor")
    balance_before: int
    balance_after: int
    recorded_at: datetime


class MessageOut(BaseModel):
    customer_id: CustomerId
    account_id: AccountId
    attempt: int
    occasion: str = Field(description="`ended`, or what happened in a dispute", examples=["ended", "dsp_…/opened"])
    body: str
    created_at: datetime


class AbandonmentOut(BaseModel):
    """That recovery ended an attempt which had lost its workflow: which run of it, when and why."""

    attempt: int
    workflow_id: str = Field(description="The sweep, in Temporal", examples=["recovery-workflow-2026-11-21T20:00:00Z"])
    run_id: str = Field(examples=["0b5d6a5e-4a0e-4c55-8a5b-4f2f3c7f9d11"])
    reason: str
    state_before: State
    state_after: State
    recorded_at: datetime


class TransferFileOut(AnyTransferOut):
    """All that is known of a transfer, in one snapshot. Each list is oldest first."""

    attempts: list[AttemptOut] = Field(description="Each with how it ended; the current one is the last")
    postings: list[PostingFactOut]
    entries: list[EntryFactOut]
    messages: list[MessageOut]
    actions: list[ActionOut] = Field(description="What staff did with it, by the API and in Temporal")
    abandonments: list[AbandonmentOut] = Field(description="The attempts that recovery ended")

    @classmethod
    def of_file(cls, file: TransferFile, temporal_url: str | None) -> "TransferFileOut":
        return cls(
            **AnyTransferOut.for_staff(file.transfer, temporal_url).model_dump(),
            attempts=[AttemptOut.model_validate(found, from_attributes=True) for found in file.attempts],
            postings=[PostingFactOut.model_validate(found, from_attributes=True) for found in file.postings],
            entries=[EntryFactOut.model_validate(found, from_attributes=True) for found in file.entries],
            messages=[MessageOut.model_validate(found, from_attributes=True) for found in file.messages],
            actions=[ActionOut.model_validate(found, from_attributes=True) for found in file.actions],
            abandonments=[AbandonmentOut.model_validate(found, from_attributes=True) for found in file.abandonments],
        )
