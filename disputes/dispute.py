"""Disputes: a payer's objection to a completed transfer, and how it may end. Pure: no I/O, no clock.

The dispute's row decides what happens next. The workflow waits for a decision and carries it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.ids import CustomerId, DisputeId, TransferId, transfer_id_for
from ledger.refusals import ActionRefused
from ledger.reversals import reversal_objection
from ledger.transfers import UNSIGNED, Kind, State, Transfer, TransferOrder
from ledger.workflow_ids import dispute_workflow_id, transfer_workflow_id
from staff.permissions import Action, Channel, ConflictOfInterest

MAX_STATEMENTS_EACH = 20


class DisputeState(StrEnum):
    """`open` waits for a decision, `reversing` for the decided reversal to end. The others are final.

    One is not for ever: `reversal_failed` becomes `reversed` if staff retry the reversal with success.
    """

    OPEN = "open"
    REVERSING = "reversing"
    REVERSED = "reversed"
    REVERSAL_FAILED = "reversal_failed"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the dispute is over: nobody states or decides anything any more."""
        return self not in (DisputeState.OPEN, DisputeState.REVERSING)


# Checked under the dispute's row lock, and once more by a trigger.
NEXT_DISPUTE_STATE: Mapping[DisputeState, frozenset[DisputeState]] = {
    DisputeState.OPEN: frozenset({DisputeState.REVERSING, DisputeState.REJECTED, DisputeState.EXPIRED}),
    DisputeState.REVERSING: frozenset({DisputeState.REVERSED, DisputeState.REVERSAL_FAILED}),
    DisputeState.REVERSED: frozenset(),
    DisputeState.REVERSAL_FAILED: frozenset({DisputeState.REVERSED}),
    DisputeState.REJECTED: frozenset(),
    DisputeState.EXPIRED: frozenset(),
}
assert NEXT_DISPUTE_STATE.keys() == set(DisputeState)


class DisputeRuling(StrEnum):
    """How staff decide a dispute."""

    REVERSE = "reverse"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DisputeTerms:
    """How long after its completion a transfer can be disputed, and how long staff have to decide."""

    window_days: int
    deadline_seconds: int


@dataclass(frozen=True, slots=True)
class DisputeDecision:
    """One person's decision. `amount_minor` None: reverse all that is left of the transfer."""

    decider: CustomerId
    ruling: DisputeRuling
    reason: str
    amount_minor: int | None = None

    def objection(self, parties: tuple[CustomerId, ...]) -> str | None:
        """Why this decision is refused, in a sentence; None: it is not."""
        if not self.decider.strip():
            return "Say who decides: decider is empty."
        if self.decider in parties:
            return "A party to the dispute cannot decide it."
        if not self.reason.strip():
            return "Say why: reason is empty."
        if self.amount_minor is not None and (self.ruling is not DisputeRuling.REVERSE or self.amount_minor < 1):
            return "An amount, from 1 on, belongs to the ruling `reverse`."
        return None


def decision_of(given: object) -> DisputeDecision:
    """The decision in a JSON value that a person typed. Raises `DecisionRefused` for missing and for unknown fields.

    An unknown field is never ignored: a decision whose misspelt amount were dropped would reverse all that is left.
    """
    names = [field.name for field in fields(DisputeDecision)]
    if not isinstance(given, Mapping) or not given.keys() <= set(names):
        raise DecisionRefused(f"A decision is a JSON object with the fields {', '.join(names)}, and no others.")
    texts = {name: given.get(name) for name in ("decider", "ruling", "reason")}
    amount = given.get("amount_minor")
    for name, text in texts.items():
        if not isinstance(text, str):
            raise DecisionRefused(f"{name} is missing, or is not text.")
    if amount is not None and type(amount) is not int:
        raise DecisionRefused("amount_minor is a whole number, in the minor unit of the currency.")
    if texts["ruling"] not in set(DisputeRuling):
        raise DecisionRefused(f"ruling is {' or '.join(DisputeRuling)}.")
    return DisputeDecision(
        CustomerId(str(texts["decider"])), DisputeRuling(str(texts["ruling"])), str(texts["reason"]), amount
    )


@dataclass(frozen=True, slots=True)
class Dispute:
    """A row of `disputes`. `decided_channel` is None while undecided, and where the read leaves it out.

    `held_minor` is held of the payee's account for a reversal of the transfer; 0 where the read leaves it out.
    """

    id: DisputeId
    transfer_id: TransferId
    payer_id: CustomerId
    payee_id: CustomerId
    reason: str
    state: DisputeState
    deadline: datetime
    ruling: DisputeRuling | None
    amount_minor: int | None
    decided_by: CustomerId | None
    decided_reason: str | None
    decided_at: datetime | None
    reversal_transfer_id: TransferId | None
    outcome: str | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    decided_channel: Channel | None = None
    held_minor: int = 0

    @property
    def parties(self) -> tuple[CustomerId, ...]:
        """Payer and payee: they make statements, and neither decides."""
        return self.payer_id, self.payee_id

    @property
    def summary(self) -> str:
        """The one line that says what it is about, and between whom."""
        return f"Dispute about {self.transfer_id}: {self.payer_id} against {self.payee_id}"

    @property
    def workflow_id(self) -> str:
        """The workflow that drives this dispute."""
        return dispute_workflow_id(self.id)


@dataclass(frozen=True, slots=True)
class DisputeProgress:
    """The answer of each of a dispute's steps. `reversal` is the order that a decision asks for.

    `disputed` is the order of the transfer that the dispute is about.
    """

    state: DisputeState
    seconds_left: int
    statements: int
    parties: tuple[CustomerId, ...]
    reversal: TransferOrder | None = None
    outcome: str | None = None
    transfer_id: TransferId | None = None
    disputed: TransferOrder | None = None


@dataclass(eq=False)
class NotDisputable(ActionRefused):
    """The transfer cannot be disputed."""

    code = "not_disputable"
    why: str

    def __str__(self) -> str:
        return f"Not possible: {self.why}."


@dataclass(eq=False)
class DisputeOpen(ActionRefused):
    """Another dispute about this transfer is open."""

    code = "dispute_open"
    transfer_id: TransferId

    def __str__(self) -> str:
        return f"Another dispute about transfer {self.transfer_id} is open."


@dataclass(eq=False)
class DisputeClosed(ActionRefused):
    """The dispute is decided or expired: it takes no statement and no decision."""

    code = "dispute_closed"
    state: DisputeState

    def __str__(self) -> str:
        return f"The dispute is {self.state}."


@dataclass(eq=False)
class NoSuchDispute(ActionRefused):
    """No dispute has this id."""

    code = "dispute_not_found"
    dispute_id: DisputeId

    def __str__(self) -> str:
        return f"There is no dispute {self.dispute_id}."


@dataclass(eq=False)
class TooManyStatements(ActionRefused):
    """The party has made as many statements as one may."""

    code = "too_many_statements"

    def __str__(self) -> str:
        return f"Each party makes at most {MAX_STATEMENTS_EACH} statements."


@dataclass(eq=False)
class NothingToHold(ActionRefused):
    """The account has nothing free, or nothing is left to reverse."""

    code = "nothing_to_hold"

    def __str__(self) -> str:
        return "Nothing can be held: the payee's account has nothing free, or nothing is left to reverse."


@dataclass(eq=False)
class DecisionRefused(ActionRefused):
    """The decision is not valid."""

    code = "decision_refused"
    why: str

    def __str__(self) -> str:
        return self.why


def check_disputable(transfer: Transfer, left_minor: int, now: datetime, terms: DisputeTerms) -> None:
    """Raises unless its payer may dispute this transfer now."""
    if objection := reversal_objection(transfer):
        raise NotDisputable(objection)
    assert transfer.completed_at is not None, "it is completed"
    if now > transfer.completed_at + timedelta(days=terms.window_days):
        raise NotDisputable(f"it was completed more than {terms.window_days} days ago")
    if not left_minor:
        raise NotDisputable("all of it has been reversed, or is on its way back")


def check_open(dispute: Dispute) -> None:
    """Raises `DisputeClosed` unless the dispute is open."""
    if dispute.state is not DisputeState.OPEN:
        raise DisputeClosed(dispute.state)


def check_may_hold(dispute: Dispute, actor_id: CustomerId, action: Action) -> None:
    """Raises unless this person may hold or release the disputed amount now.

    That is while the dispute waits for a decision, or its decided reversal has failed and may be retried.
    """
    if actor_id in dispute.parties:
        raise ConflictOfInterest(action)
    if dispute.state not in (DisputeState.OPEN, DisputeState.REVERSAL_FAILED):
        raise DisputeClosed(dispute.state)


def amount_to_hold(dispute: Dispute, left_minor: int) -> int:
    """What the dispute is about: all that is left to reverse, or what was decided."""
    return left_minor if dispute.amount_minor is None else min(left_minor, dispute.amount_minor)


def amount_held_after(state: DisputeState, amount_minor: int | None) -> int:
    """The most that may stay held in this state. A reversal that failed may be retried, so its amount stays."""
    kept = (DisputeState.REVERSING, DisputeState.REVERSAL_FAILED)
    return amount_minor if state in kept and amount_minor is not None else 0


def check_decision(dispute: Dispute, decision: DisputeDecision, left_minor: int) -> None:
    """Raises unless the dispute is open, the decision is valid and what it asks for is left to reverse."""
    check_open(dispute)
    if objection := decision.objection(dispute.parties):
        raise DecisionRefused(objection)
    if decision.ruling is DisputeRuling.REVERSE and not 0 < (decision.amount_minor or left_minor) <= left_minor:
        raise DecisionRefused("The amount is more than what is left to reverse.")


def reversal_for(dispute: Dispute, transfer: Transfer) -> TransferOrder | None:
    """The reversal that this dispute's decision asks for, not signed yet.

    It follows from the row alone, so it happens once.
    """
    if dispute.ruling is not DisputeRuling.REVERSE:
        return None
    assert dispute.decided_by is not None
    assert dispute.amount_minor is not None
    key = dispute_workflow_id(dispute.id)
    return TransferOrder(
        transfer_id=transfer_id_for(dispute.decided_by, key),
        owner_id=dispute.decided_by,
        idempotency_key=key,
        fingerprint=UNSIGNED,
        kind=Kind.REVERSAL,
        source_account_id=transfer.destination_account_id,
        destination_account_id=transfer.source_account_id,
        amount_minor=dispute.amount_minor,
        currency=transfer.currency,
        workflow_id=transfer_workflow_id(dispute.decided_by, key),
        note=f"Dispute {dispute.id}",
        reverses_transfer_id=transfer.id,
    )


def ending_of(reversal: Transfer | None, amount: str, *, impossible: bool) -> tuple[DisputeState, str] | None:
    """How a decided dispute ends, and a sentence for both parties; None: its reversal is under way.

    The sentence never says why a reversal failed: that is about the payee's account. Staff read it at the reversal.
    """
    if reversal is not None and reversal.state is State.COMPLETED:
        return DisputeState.REVERSED, f"{amount} was brought back to the payer."
    if impossible or (reversal is not None and reversal.state.is_final):
        return DisputeState.REVERSAL_FAILED, f"Reversing {amount} was decided, and could not be done."
    return None
