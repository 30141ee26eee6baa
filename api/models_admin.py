"""What the admin routes take and give. Every request that changes something names its reason, for the record."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr

from api.models import AccountOut, Amount, AttemptOut, Currency, CustomerOut, Email, In, Text, TransferOut
from ledger.accounts import Account
from ledger.ids import AccountId, ActionId, CustomerId, PostingId
from ledger.operators import Action, Channel, Role
from ledger.postgres.audit import Audit, Totals
from ledger.postgres.oversight import Outcome, Stats, TransferFile
from ledger.reviews import BatchProgress, Ruling
from ledger.transfers import Leg, State, Transfer

MAX_TIER = 9

Reason = Annotated[
    str, Text, Field(max_length=500, description="Why, for the record", examples=["Card reported stolen, ticket 4711"])
]


class ReasonIn(In):
    """Why this is done. It is recorded with who did it, and with what was before and after."""

    reason: Reason


class AdminIn(In):
    """Who is made an admin from the command line. Somebody who is registered keeps name and password."""

    email: Email
    full_name: Annotated[str, Text, Field(max_length=200)]
    password: Annotated[SecretStr, Field(min_length=8, max_length=128)] | None = None


class RoleIn(ReasonIn):
    role: Role


class TierIn(ReasonIn):
    tier: Annotated[int, Field(strict=True, ge=1, le=MAX_TIER, examples=[2])]


class CustomersOut(BaseModel):
    items: list[CustomerOut]
    next_cursor: str | None


class CustomerFileOut(CustomerOut):
    """A customer and their accounts, oldest first."""

    accounts: list[AccountOut]


class AccountFileOut(AccountOut):
    """An account with the hash of its newest entry, in hex."""

    head_hash: str

    @classmethod
    def of(cls, account: Account) -> "AccountFileOut":
        return cls(**AccountOut.of(account).model_dump(), head_hash=account.head_hash.hex())


class AnyTransferOut(TransferOut):
    """A transfer as staff see it: whose it is, under which key, and where its workflow is."""

    owner_id: CustomerId
    idempotency_key: str
    temporal_url: str | None = Field(description="In Temporal's Web UI, where that is known")

    @classmethod
    def told(cls, transfer: Transfer, temporal_url: str | None) -> "AnyTransferOut":
        return cls(
            **TransferOut.of(transfer, transfer.owner_id).model_dump(),
            owner_id=transfer.owner_id,
            idempotency_key=transfer.idempotency_key,
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


class ActionOut(BaseModel):
    """What somebody of the staff did. `before` and `after` hold what the action changes of its subject.

    What steers a transfer is recorded as `asked` before it is sent, with what came of it afterwards in `outcome`,
    `answer` and `after`. `unknown`: nobody knows whether it was taken; the same request again finds out.
    """

    id: ActionId
    actor_id: CustomerId
    actor_role: Role
    action: Action
    subject: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    recorded_at: datetime
    asked: dict[str, Any] | None
    outcome: Outcome
    answer: str | None
    concluded_at: datetime | None
    channel: Channel


class InterventionOut(BaseModel):
    """What a person did about a transfer, at the API or in Temporal's Web UI or CLI."""

    at: datetime
    channel: Channel
    by: str = Field(description="The id of whoever did it; in Temporal, of whom they said they are")
    action: Action
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: Outcome
    action_id: ActionId | None


class ActionsOut(BaseModel):
    items: list[ActionOut]
    next_cursor: str | None


class TransferFileOut(AnyTransferOut):
    """All that is known of a transfer, in one snapshot. Each list is oldest first."""

    attempts: list[AttemptOut] = Field(description="Each with how it ended; the current one is the last")
    postings: list[PostingFactOut]
    entries: list[EntryFactOut]
    messages: list[MessageOut]
    actions: list[ActionOut]
    interventions: list[InterventionOut] = Field(description="The actions, and what people asked for in Temporal")

    @classmethod
    def of_file(cls, file: TransferFile, temporal_url: str | None) -> "TransferFileOut":
        return cls(
            **AnyTransferOut.told(file.transfer, temporal_url).model_dump(),
            attempts=[AttemptOut.model_validate(found, from_attributes=True) for found in file.attempts],
            postings=[PostingFactOut.model_validate(found, from_attributes=True) for found in file.postings],
            entries=[EntryFactOut.model_validate(found, from_attributes=True) for found in file.entries],
            messages=[MessageOut.model_validate(found, from_attributes=True) for found in file.messages],
            actions=[ActionOut.model_validate(found, from_attributes=True) for found in file.actions],
            interventions=[InterventionOut.model_validate(one, from_attributes=True) for one in file.interventions],
        )


class TotalsOut(BaseModel):
    """The books of one currency. `customers` + `in_transit` + `world` is zero where the books are clean."""

    currency: str
    accounts: int
    entries: int
    customers: int = Field(validation_alias="customers_minor")
    in_transit: int = Field(validation_alias="in_transit_minor")
    world: int = Field(validation_alias="world_minor")

    @classmethod
    def of(cls, totals: Totals) -> "TotalsOut":
        return cls.model_validate(totals, from_attributes=True)


class BooksOut(BaseModel):
    items: list[TotalsOut]


class BrokenOut(BaseModel):
    """One thing that does not hold: which claim, where, and what was found."""

    invariant: str = Field(examples=["balance_is_fold"])
    subject: str
    detail: str


class AuditOut(BaseModel):
    """What the audit found. Clean books have nothing in `broken`."""

    clean: bool
    broken: list[BrokenOut] = Field(description="At most the first 100 findings")
    findings: int
    books: list[TotalsOut]
    transfers_by_state: dict[State, int]

    @classmethod
    def of(cls, audit: Audit, most: int = 100) -> "AuditOut":
        return cls(
            clean=audit.clean,
            broken=[BrokenOut.model_validate(found, from_attributes=True) for found in audit.broken[:most]],
            findings=len(audit.broken),
            books=[TotalsOut.of(totals) for totals in audit.totals],
            transfers_by_state={State(state): count for state, count in audit.transfers_by_state.items()},
        )


class WaitingOut(BaseModel):
    """The transfers in a state that is not final, and since when the one that waits longest has not moved."""

    state: State
    transfers: int
    longest_seconds: int


class InTransitOut(BaseModel):
    currency: str
    transfers: int
    amount: int = Field(validation_alias="amount_minor")


class StatsOut(BaseModel):
    """Transfers created in the last hour and day by their state now, what is not final, and what is in transit."""

    last_hour: dict[State, int]
    last_day: dict[State, int]
    waiting: list[WaitingOut]
    oldest_not_final: AnyTransferOut | None = Field(description="The one that has not moved for the longest time")
    in_transit: list[InTransitOut]

    @classmethod
    def of(cls, stats: Stats, oldest: AnyTransferOut | None) -> "StatsOut":
        return cls(
            last_hour=stats.last_hour,
            last_day=stats.last_day,
            waiting=[WaitingOut.model_validate(found, from_attributes=True) for found in stats.waiting],
            oldest_not_final=oldest,
            in_transit=[InTransitOut.model_validate(found, from_attributes=True) for found in stats.in_transit],
        )


class DecisionIn(ReasonIn):
    """A reviewer's word. It counts once, and cannot be taken back."""

    ruling: Ruling


class DecisionsIn(DecisionIn):
    """A reviewer's word about everything in review that matches. What is left out does not matter."""

    account_id: AccountId | None = None
    owner_id: CustomerId | None = None
    currency: Currency | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None


class AnsweredOut(BaseModel):
    answer: str = Field(examples=["The step is tried again."])


class BatchStartedOut(BaseModel):
    id: str
    total: int = Field(description="How many transfers the decision goes to")


class DecisionRefusedOut(BaseModel):
    workflow_id: str
    why: str


class BatchOut(BaseModel):
    id: str
    total: int
    taken: int
    done: bool
    refused: list[DecisionRefusedOut]
    unanswered: list[DecisionRefusedOut] = Field(description="No answer in time: these may take the decision yet")

    @classmethod
    def of(cls, batch_id: str, progress: BatchProgress) -> "BatchOut":
        """Done once each transfer has taken or refused the decision, or was given up waiting for."""
        refused, unanswered = (
            [DecisionRefusedOut.model_validate(each, from_attributes=True) for each in those]
            for those in (progress.refused, progress.unanswered)
        )
        done = progress.taken + len(refused) + len(unanswered) == progress.total
        return cls(
            id=batch_id,
            total=progress.total,
            taken=progress.taken,
            done=done,
            refused=refused,
            unanswered=unanswered,
        )
