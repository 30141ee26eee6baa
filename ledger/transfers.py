"""Transfers: their states, what may follow each, and what a step is keyed by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from ledger.ids import WORLD, AccountId, CustomerId, TransferId
from ledger.money import Money

MAX_ATTEMPTS = 3

# The fingerprint of an order that is not signed yet. No book opens such a transfer.
UNSIGNED = ""

Side = Literal["source", "destination"]


class State(StrEnum):
    """Where the money is. Nothing else decides what may happen next."""

    INITIATED = "initiated"
    IN_REVIEW = "in_review"
    DEBITED = "debited"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether this attempt is over: nothing moves any more unless somebody asks for another attempt."""
        return self in FINAL


FINAL = frozenset({State.COMPLETED, State.COMPENSATED, State.FAILED, State.CANCELLED})

# Checked under the transfer's row lock by every step, whatever the workflow engine believes, and once more by a
# trigger. `failed` and `compensated` lead back to `initiated` only as the next attempt.
NEXT_STATE: Mapping[State, frozenset[State]] = {
    State.INITIATED: frozenset({State.IN_REVIEW, State.DEBITED, State.FAILED, State.CANCELLED}),
    State.IN_REVIEW: frozenset({State.DEBITED, State.FAILED, State.CANCELLED}),
    State.DEBITED: frozenset({State.COMPLETED, State.COMPENSATED}),
    State.COMPLETED: frozenset(),
    State.COMPENSATED: frozenset({State.INITIATED}),
    State.FAILED: frozenset({State.INITIATED}),
    State.CANCELLED: frozenset(),
}
assert NEXT_STATE.keys() == set(State)


class Kind(StrEnum):
    """What a transfer is to its customers. Deposits and withdrawals are transfers from and to `world`.

    A reversal brings all or part of a completed transfer back to where it came from. A funding
    comes from an account of the system, at the request of staff.
    """

    TRANSFER = "transfer"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    REVERSAL = "reversal"
    FUNDING = "funding"


class Leg(StrEnum):
    """Which posting of a transfer: out of the source, into the destination, or back to the source."""

    DEBIT = "debit"
    CREDIT = "credit"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a transfer did not reach its destination: a refusal's code, and a sentence for people.

    `side` is the account that it is about; None: it is about neither, or both.
    """

    code: str
    message: str
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """What a customer asked for, exactly as accepted. The input of the workflow; it never changes.

    `fingerprint` proves that the API made it, and `attempt_fingerprint` that the API was asked for this later attempt
    (`ledger/fingerprints.py`). `all_that_is_left`: a reversal whose request named no amount. `metadata` is the
    customer's own, and means nothing here.
    """

    transfer_id: TransferId
    owner_id: CustomerId
    idempotency_key: str
    fingerprint: str
    kind: Kind
    source_account_id: AccountId
    destination_account_id: AccountId
    amount_minor: int
    currency: str
    workflow_id: str
    note: str | None = None
    transaction_id: str | None = None
    attempt: int = 1
    reverses_transfer_id: TransferId | None = None
    metadata: dict[str, str] | None = None
    all_that_is_left: bool = False
    attempt_fingerprint: str | None = None

    @property
    def contents(self) -> tuple[object, ...]:
        """All that was asked for, by whom and under which key. The same for every attempt; its fingerprint covers it.

        JSON values only, in an order that never changes: fingerprints are made from it.
        """
        return (
            self.transfer_id,
            self.owner_id,
            self.idempotency_key,
            self.kind.value,
            self.source_account_id,
            self.destination_account_id,
            self.amount_minor,
            self.currency,
            self.note,
            self.transaction_id,
            self.reverses_transfer_id,
            self.all_that_is_left,
            tuple(sorted(self.metadata.items())) if self.metadata else None,
        )

    @property
    def amount(self) -> Money:
        """The amount with its currency, for people."""
        return Money(self.amount_minor, self.currency)

    @property
    def customer_account_id(self) -> AccountId:
        """The account that a deposit's or withdrawal's `transaction_id` is unique in; the source of a transfer."""
        return self.destination_account_id if self.kind is Kind.DEPOSIT else self.source_account_id

    def repeats(self, first: "Transfer") -> bool:
        """Whether this order names the movement of `first` by its `transaction_id`, and not another movement."""
        return self.transaction_id is not None and self.movement == first.order.movement

    @property
    def movement(self) -> tuple[object, ...]:
        """What a `transaction_id` names, with the id itself."""
        accounts = (self.source_account_id, self.destination_account_id)
        return (self.owner_id, self.kind, *accounts, self.amount_minor, self.currency, self.transaction_id)

    def with_amount_of(self, first: "TransferOrder") -> "TransferOrder":
        """Of two orders for all that was left, the first one fixes the amount. Any other order stays as it is."""
        both = self.all_that_is_left and first.all_that_is_left
        return replace(self, amount_minor=first.amount_minor) if both else self

    def repeats_request(self, first: "Transfer") -> bool:
        """Whether the request of this order is the one that its key's transfer has answered, field by field.

        A key names the transfer that it opened, or the one whose `transaction_id` its request repeated.
        """
        if self.transfer_id != first.id:
            return self.repeats(first)
        return self.with_amount_of(first.order).contents == first.order.contents


@dataclass(frozen=True, slots=True)
class Step:
    """What every step after the first is keyed by: never a run or activity id, which change on a reset.

    `account_id` is the account whose queue the step joins. Which account it changes, the transfer's row decides.
    """

    transfer_id: TransferId
    attempt: int
    account_id: AccountId = WORLD


@dataclass(frozen=True, slots=True)
class ScreenedStep(Step):
    """The debit's: `screened_by` is the id of the rules that let the transfer pass, kept in the transfer's row."""

    screened_by: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A transfer's attempt, state and failure in the ledger: the answer of every step.

    `duplicate_of` is set, and no row of its own exists, where another transfer has the order's `transaction_id`.
    """

    transfer_id: TransferId
    attempt: int
    state: State
    failure: Failure | None = None
    duplicate_of: TransferId | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer of the first step: the transfer's standing, and the refusal that can be foreseen already.

    A money step that has not answered for `stuck_after_seconds` needs a person's attention.
    """

    standing: Standing
    objection: Failure | None = None
    stuck_after_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Ending:
    """The argument of the steps that end a transfer short of its destination: which one, and why."""

    step: Step
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a transfer, and how it ended; `ended_at` is None while it is under way."""

    attempt: int
    state: State
    failure: Failure | None
    workflow_id: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer's row: its order, of the current attempt, and where the money is.

    `payer_id` and `payee_id` own its accounts. Only reads for a customer fill them in.
    """

    order: TransferOrder
    state: State
    failure: Failure | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    payer_id: CustomerId | None = field(default=None, compare=False)
    payee_id: CustomerId | None = field(default=None, compare=False)

    @property
    def id(self) -> TransferId:
        """The same for every attempt."""
        return self.order.transfer_id

    @property
    def readers(self) -> tuple[CustomerId | None, ...]:
        """Which customers may see it: who asked for it, and each side once its money has moved.

        The same as `visible_to` of `ledger/postgres/transfer_reads.py`, from the row alone.
        """
        return (
            self.owner_id,
            self.payee_id if self.state is State.COMPLETED else None,
            self.payer_id if self.state in (State.DEBITED, State.COMPLETED, State.COMPENSATED) else None,
        )

    def counterparty_of(self, reader_id: CustomerId) -> AccountId | None:
        """The other side's account, once money has moved between the reader and somebody else; None: it has not."""
        if self.payer_id == self.payee_id or self.state not in (State.DEBITED, State.COMPLETED, State.COMPENSATED):
            return None
        if reader_id == self.payer_id:
            return self.destination_account_id
        return self.source_account_id if reader_id == self.payee_id else None

    @property
    def owner_id(self) -> CustomerId:
        """Who asked for the transfer."""
        return self.order.owner_id

    @property
    def kind(self) -> Kind:
        """What it is to its customers."""
        return self.order.kind

    @property
    def source_account_id(self) -> AccountId:
        """The account that the amount leaves."""
        return self.order.source_account_id

    @property
    def destination_account_id(self) -> AccountId:
        """The account that the amount goes to."""
        return self.order.destination_account_id

    @property
    def amount_minor(self) -> int:
        """In the minor unit of its currency."""
        return self.order.amount_minor

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return self.order.currency

    @property
    def amount(self) -> Money:
        """The amount with its currency, for people."""
        return self.order.amount

    @property
    def attempt(self) -> int:
        """The current attempt, from 1."""
        return self.order.attempt

    @property
    def workflow_id(self) -> str:
        """The workflow of the current attempt."""
        return self.order.workflow_id

    @property
    def reverses_transfer_id(self) -> TransferId | None:
        """Of a reversal: the transfer that it brings back."""
        return self.order.reverses_transfer_id

    def account_on(self, side: Side) -> AccountId:
        """The account that the amount leaves, or the one that it goes to."""
        return self.source_account_id if side == "source" else self.destination_account_id

    @property
    def current_attempt(self) -> Attempt:
        """Its newest attempt; those before it are kept beside the row."""
        return Attempt(self.attempt, self.state, self.failure, self.workflow_id, self.completed_at)

    @property
    def standing(self) -> Standing:
        """The part of it that decides what happens next."""
        return Standing(self.id, self.attempt, self.state, self.failure)
