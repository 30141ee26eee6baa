"""Batches: up to 10,000 transfers that are asked for in one request. Pure: no I/O, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ledger.ids import AccountId, BatchId, CustomerId, TransferId, transfer_id_for
from ledger.refusals import ActionRefused
from ledger.transfers import UNSIGNED, Failure, Kind, State, TransferOrder
from ledger.workflow_ids import batch_workflow_id

MOST_ITEMS = 10_000

# So many are one transaction at most. Singles on the same account wait for it.
CHUNK = 500


# Why an item can become no transfer, beside the refusals of the ledger.
CONFLICT_CODES = ("idempotency_key_reused", "transaction_id_reused", "order_forged")


class BatchMode(StrEnum):
    """Whether a refused item leaves the others as they are, or all of them undone."""

    BEST_EFFORT = "best_effort"
    ATOMIC = "atomic"


class BatchState(StrEnum):
    """How far a batch is. A person decides about one that is `held`."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    HELD = "held"
    COMPLETED = "completed"
    REFUSED = "refused"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing of it is posted any more. Single transfers that it led to may still be under way."""
        return not NEXT_BATCH_STATE[self]


# Checked under the row's lock, and once more by a trigger. `held` leads back to `accepted` once it is approved.
NEXT_BATCH_STATE: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.ACCEPTED: frozenset(set(BatchState) - {BatchState.ACCEPTED}),
    BatchState.IN_PROGRESS: frozenset({BatchState.COMPLETED, BatchState.CANCELLED}),
    BatchState.HELD: frozenset({BatchState.ACCEPTED, BatchState.REFUSED, BatchState.CANCELLED}),
    BatchState.COMPLETED: frozenset(),
    BatchState.REFUSED: frozenset(),
    BatchState.CANCELLED: frozenset(),
}
assert NEXT_BATCH_STATE.keys() == set(BatchState)


class BatchItemState(StrEnum):
    """What became of an item: its transfer's state, or why it has no transfer.

    `pending`: not posted yet. `not_posted`: the batch ended without it.
    """

    PENDING = "pending"
    NOT_POSTED = "not_posted"
    INITIATED = "initiated"
    IN_REVIEW = "in_review"
    DEBITED = "debited"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewBatchItem:
    """One transfer that is asked for. `reference` is the customer's own name for it, and its `transaction_id`."""

    reference: str
    source_account_id: AccountId
    destination_account_id: AccountId
    amount_minor: int
    currency: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class BatchItem:
    """An item as it is listed. `line` counts from 1; of a CSV, it is the line behind the header.

    `transfer_id` is null of an item that could become no transfer. `review_rules` are the screening rules for which its
    batch was held.
    """

    line: int
    reference: str
    source_account_id: AccountId
    destination_account_id: AccountId
    amount_minor: int
    currency: str
    note: str | None
    transfer_id: TransferId | None
    state: BatchItemState
    failure: Failure | None
    review_rules: Sequence[str] = ()

    @property
    def has_moved(self) -> bool:
        """Whether its amount has left its source, even if it came back."""
        return self.state in (BatchItemState.DEBITED, BatchItemState.COMPLETED, BatchItemState.COMPENSATED)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's row. `posted` of its items are decided: `completed`, `failed`, or `singles` of their own."""

    id: BatchId
    owner_id: CustomerId
    mode: BatchMode
    state: BatchState
    total: int
    posted: int
    completed: int
    failed: int
    singles: int
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    decided_by: CustomerId | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of its items are decided."""
        return self.posted == self.total


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is, for its workflow. `to_start` are items that need a workflow of their own now."""

    state: BatchState
    total: int
    posted: int
    completed: int
    failed: int
    singles: int
    to_start: list[TransferOrder] = field(default_factory=list)

    def __str__(self) -> str:
        counted = f"{self.posted:,} of {self.total:,} items: {self.completed:,} completed, {self.failed:,} failed"
        others = f", {self.singles:,} with a transfer of their own" if self.singles else ""
        return f"{self.state.replace('_', ' ').capitalize()}. {counted}{others}."


def batch_item_key(batch_id: BatchId, line: int) -> str:
    """The idempotency key of an item's transfer. Customers cannot guess it before the batch exists."""
    return f"batch/{batch_id}/{line}"


def order_of_item(
    batch_id: BatchId, owner_id: CustomerId, line: int, item: NewBatchItem, fingerprint: str = UNSIGNED
) -> TransferOrder:
    """The order of an item. Equal items of one line give equal orders, in any process."""
    key = batch_item_key(batch_id, line)
    return TransferOrder(
        transfer_id=transfer_id_for(owner_id, key),
        owner_id=owner_id,
        idempotency_key=key,
        fingerprint=fingerprint,
        kind=Kind.TRANSFER,
        source_account_id=item.source_account_id,
        destination_account_id=item.destination_account_id,
        amount_minor=item.amount_minor,
        currency=item.currency,
        workflow_id=batch_workflow_id(batch_id),
        note=item.note,
        transaction_id=item.reference,
    )


def item_state(batch: BatchState, transfer: State | None, outcome: str | None) -> BatchItemState:
    """What became of an item, by the rows."""
    if transfer is not None:
        return BatchItemState(transfer)
    if outcome == "refused":
        return BatchItemState.FAILED
    # Of a batch that has ended, no workflow is started any more.
    if outcome == "single" and not batch.is_final:
        return BatchItemState.INITIATED
    return BatchItemState.NOT_POSTED if batch.is_final else BatchItemState.PENDING


@dataclass(eq=False)
class NoSuchBatch(ActionRefused):
    """No batch has this id."""

    code = "batch_not_found"
    batch_id: BatchId

    def __str__(self) -> str:
        return f"There is no batch {self.batch_id}."


@dataclass(eq=False)
class BatchIsOver(ActionRefused):
    """The batch has ended: nothing of it is left to cancel."""

    code = "batch_over"
    batch_id: BatchId
    state: BatchState

    def __str__(self) -> str:
        return f"The batch is {self.state} already."


@dataclass(eq=False)
class BatchNotHeld(ActionRefused):
    """Nobody is asked to decide about this batch."""

    code = "batch_not_held"
    batch_id: BatchId
    state: BatchState

    def __str__(self) -> str:
        return f"The batch is {self.state}: nothing of it waits for a decision."
