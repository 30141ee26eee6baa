"""Batches as requests and answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SkipValidation

from api.http.fields import (
    AccountIdIn,
    Amount,
    Currency,
    CurrencyCode,
    Cursor,
    In,
    Limit,
    ListFilters,
    NumberOut,
    PayeeAccountIn,
    Text,
)
from api.ownership.owned import Owned, OwnedPage
from api.payees.counterparties import EXCHANGED
from api.payees.models import CounterpartyOut
from api.staff.models import Reason
from batches.batch import CONFLICT_CODES, MOST_ITEMS, BatchItem, BatchItemState, BatchMode, BatchState
from batches.postgres.batches import BatchWithCounts
from customers.payees.payee import AccountHolder
from ledger.ids import AccountId, BatchId, CustomerId, TransferId
from ledger.refusals import REFUSAL_CODES
from ledger.workflow_ids import batch_workflow_id


class BatchItemIn(In):
    """One transfer from an account of the customer's to any account."""

    reference: Annotated[
        str,
        Text,
        Field(
            max_length=100,
            description="Unique in the batch, and the transfer's `transaction_id`",
            examples=["salary-2026-11-0042"],
        ),
    ]
    source_account_id: AccountIdIn
    destination_account_id: PayeeAccountIn = Field(description="The account's id, or its number")
    amount: Amount
    currency: Currency
    note: Annotated[str, Text, Field(max_length=140, examples=["Salary, November"])] | None = None


class BatchIn(In):
    """Up to 10,000 transfers. `best_effort` pays what can be paid, `atomic` all or nothing."""

    mode: BatchMode = BatchMode.BEST_EFFORT
    # Checked by the route, which names the line of each error.
    items: SkipValidation[Annotated[list[BatchItemIn], Field(min_length=1, max_length=MOST_ITEMS)]]


class BatchFilters(ListFilters):
    """All filters of a request apply together. One that is left out allows everything."""

    state: BatchState | None = None


class BatchItemFilters(BaseModel):
    """Which page of a batch's items."""

    model_config = In.model_config

    limit: Limit = 50
    cursor: Cursor = None


class BatchCountsOut(BaseModel):
    """How many items are in each state. Together they are all of the batch."""

    pending: int = Field(description="Not posted yet", examples=[0])
    initiated: int = Field(description="With a transfer of their own that has not begun", examples=[0])
    in_review: int = Field(description="With a transfer of their own that waits for a person", examples=[2])
    debited: int = Field(description="With a transfer of their own that is in transit", examples=[0])
    completed: int = Field(examples=[996])
    failed: int = Field(examples=[2])
    compensated: int = Field(examples=[0])
    cancelled: int = Field(examples=[0])
    not_posted: int = Field(description="The batch has ended without them", examples=[0])


class BatchOut(Owned):
    """A batch as it stands."""

    not_found = "batch_not_found"

    id: BatchId
    mode: BatchMode
    state: BatchState
    total: int = Field(examples=[1000])
    posted: int = Field(description="So many items have their outcome, or a transfer of their own", examples=[1000])
    counts: BatchCountsOut
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    workflow_id: str = Field(
        description="Where operators find it in Temporal", examples=["batch/bat_gezdgnbvgy3tqojqgezdgnbvgy"]
    )

    @classmethod
    def of(cls, found: BatchWithCounts) -> "BatchOut":
        batch = found.batch
        counts = {state.value: found.counts.get(state, 0) for state in BatchItemState}
        return cls(
            id=batch.id,
            mode=batch.mode,
            state=batch.state,
            total=batch.total,
            posted=batch.posted,
            created_at=batch.created_at,
            updated_at=batch.updated_at,
            ended_at=batch.ended_at,
            workflow_id=batch_workflow_id(batch.id),
            counts=BatchCountsOut(**counts),
        ).owned_by(batch.owner_id)


class BatchFileOut(BatchOut):
    """A batch for staff, with its owner and who decided about it."""

    owner_id: CustomerId
    approved_by: CustomerId | None = Field(description="Whose approval it has, while it is held for a second one")
    decided_by: CustomerId | None = Field(description="Who of staff approved, refused or cancelled it")

    @classmethod
    def of(cls, found: BatchWithCounts) -> "BatchFileOut":
        shown = BatchOut.of(found).model_dump()
        batch = found.batch
        return cls(**shown, owner_id=batch.owner_id, approved_by=found.approved_by, decided_by=batch.decided_by)


class BatchFilesOut(BaseModel):
    items: list[BatchFileOut]
    next_cursor: str | None


class BatchesOut(OwnedPage):
    items: list[BatchOut]
    next_cursor: str | None


class BatchItemFailureOut(BaseModel):
    """Why an item was not paid: its transfer was refused, or it could become none."""

    code: str = Field(
        json_schema_extra={"enum": [*REFUSAL_CODES, *CONFLICT_CODES]},
        examples=["insufficient_funds"],
    )
    message: str = Field(examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe is $12.50 short."])


class BatchItemOut(BaseModel):
    """An item and what became of it. Its transfer is at `GET /v1/transfers/{id}` once it is posted."""

    line: int = Field(description="From 1; of a CSV, behind the header", examples=[42])
    reference: str = Field(examples=["salary-2026-11-0042"])
    source_account_id: AccountId
    destination_account_id: AccountId
    amount: int
    currency: CurrencyCode
    note: str | None
    state: BatchItemState
    transfer_id: TransferId | None = Field(description="Null where it has no transfer")
    failure: BatchItemFailureOut | None

    @classmethod
    def of(cls, item: BatchItem) -> "BatchItemOut":
        without = item.state in (BatchItemState.PENDING, BatchItemState.NOT_POSTED)
        return cls(
            line=item.line,
            reference=item.reference,
            source_account_id=item.source_account_id,
            destination_account_id=item.destination_account_id,
            amount=item.amount_minor,
            currency=item.currency,
            note=item.note,
            state=item.state,
            transfer_id=None if without else item.transfer_id,
            failure=BatchItemFailureOut(code=item.failure.code, message=item.failure.message) if item.failure else None,
        )


class BatchItemsOut(Owned):
    """A page of a batch's items, in the order of their lines."""

    not_found = "batch_not_found"

    items: list[BatchItemOut]
    next_cursor: str | None
    counterparties: dict[AccountId, CounterpartyOut] = Field(description=EXCHANGED)


class AccountHolderOut(BaseModel):
    """Whose account it is, for staff."""

    number: NumberOut
    owner_id: CustomerId
    full_name: str = Field(examples=["Ben Singh"])

    @classmethod
    def of(cls, holder: AccountHolder) -> "AccountHolderOut":
        return cls.model_validate(holder, from_attributes=True)


class BatchFileItemOut(BatchItemOut):
    """An item for staff, with what its batch was held for."""

    review_rules: list[str] = Field(
        description="The screening rules for which its batch was held", examples=[["amount_review"]]
    )

    @classmethod
    def of(cls, item: BatchItem) -> "BatchFileItemOut":
        return cls(**BatchItemOut.of(item).model_dump(), review_rules=list(item.review_rules))


class BatchFileItemsOut(BaseModel):
    """A page of a batch's items for staff, in the order of their lines."""

    items: list[BatchFileItemOut]
    next_cursor: str | None
    holders: dict[AccountId, AccountHolderOut] = Field(description="Of the accounts of these items, by their ids")


class BatchDecisionIn(In):
    """What staff decide about a held batch, and why."""

    ruling: Literal["approve", "reject"]
    reason: Reason
