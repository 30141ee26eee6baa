"""Human review: who decided what, and when that is enough. Pure: the waiting is the workflow's.

The rows decide: a decision is taken once it is committed, and whatever runs later reads it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ledger.ids import CustomerId, TransferId
from ledger.money import major_to_minor
from ledger.refusals import ActionRefused, LedgerConflict, ReviewExpired, ReviewRejected
from ledger.transfers import Failure, Kind, Standing, State, Transfer, TransferOrder
from staff.permissions import RoleTooYoung
from staff.update_input import Unclear, texts_in

DECISION_EXAMPLE = '{"decider": "cus_…", "ruling": "approve", "reason": "ticket 4711"}'

# The states in which a decision is taken: before the review begins it is kept for it.
DECIDABLE = frozenset({State.INITIATED, State.IN_REVIEW})


class Ruling(StrEnum):
    """A reviewer's decision in a word."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """One reviewer's decision about one attempt of a transfer. A reviewer's first decision is final.

    `decider` is an id, or where somebody typed it an address.
    """

    decider: str
    ruling: Ruling
    reason: str

    @property
    def answer(self) -> str:
        """What the reviewer is answered, as often as they send it."""
        return f"{self.ruling} by {self.decider} is recorded."

    def objection(self) -> str | None:
        """Why this cannot be taken, in a sentence; None: it can."""
        if not self.decider.strip():
            return "Say who decides: decider is empty."
        if not self.reason.strip():
            return "Say why: reason is empty."
        return None


def decision_in(given: object) -> Decision:
    """The decision in a JSON value that somebody typed. Raises `Unclear`."""
    texts = texts_in(given, ("decider", "ruling", "reason"), DECISION_EXAMPLE)
    if texts["ruling"] not in set(Ruling):
        allowed = " or ".join(f"`{ruling}`" for ruling in Ruling)
        raise Unclear(f"There is no ruling `{texts['ruling']}`: say {allowed}, as in {DECISION_EXAMPLE}.")
    return Decision(texts["decider"], Ruling(texts["ruling"]), texts["reason"])


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How long a review may take, when its reviewers are reminded, and how many of them must approve."""

    deadline_seconds: int
    remind_after_seconds: int
    approvals: int


@dataclass(frozen=True, slots=True)
class Review:
    """A review as its rows tell it now. It began `elapsed_seconds` ago, on these terms, which never change.

    `parties` own the two accounts; only the answer that begins the review has them.
    """

    standing: Standing
    terms: ReviewTerms
    decisions: list[Decision] = field(default_factory=list)
    elapsed_seconds: int = 0
    parties: list[CustomerId] = field(default_factory=list)

    @property
    def outcome(self) -> Ruling | None:
        """What the decisions amount to; None: they do not suffice yet."""
        return outcome(self.decisions, self.terms)

    @property
    def is_waiting(self) -> bool:
        """Whether the transfer still waits for a decision."""
        return self.standing.state is State.IN_REVIEW and self.outcome is None

    @property
    def failure(self) -> Failure | None:
        """Why the transfer may not go on; None: it may, or it was moved by somebody else."""
        if self.outcome is Ruling.REJECT:
            return ReviewRejected().failure
        if self.outcome is None and self.standing.state is State.FAILED:
            return ReviewExpired().failure
        return None

    @property
    def progress(self) -> str:
        """What is still needed and who has approved, for the people who watch it."""
        approved = [decision.decider for decision in self.decisions if decision.ruling is Ruling.APPROVE]
        missing = self.terms.approvals - len(approved)
        more = f"{missing} {'more ' if approved else ''}approval{'s' if missing > 1 else ''}"
        by = f" Approved by {', '.join(approved)}." if approved else ""
        return f"{more} or one rejection is needed, by the update `decide` or the admin API.{by}"


def outcome(decisions: Sequence[Decision], terms: ReviewTerms) -> Ruling | None:
    """What the decisions of different reviewers amount to; None: they do not suffice yet. One rejection is enough."""
    if any(decision.ruling is Ruling.REJECT for decision in decisions):
        return Ruling.REJECT
    return Ruling.APPROVE if len(decisions) >= terms.approvals else None


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """What a service asks of its reviews: two different deciders from `four_eyes_from_major` major units on."""

    deadline_seconds: int
    remind_after_seconds: int
    four_eyes_from_major: int | None

    def terms(self, order: TransferOrder) -> ReviewTerms:
        """The terms of this order's review. Who asks for a funding is one of two already, and cannot approve it."""
        two = (
            order.kind is not Kind.FUNDING
            and self.four_eyes_from_major is not None
            and order.amount_minor >= major_to_minor(self.four_eyes_from_major, order.currency)
        )
        return ReviewTerms(self.deadline_seconds, self.remind_after_seconds, approvals=2 if two else 1)


@dataclass(eq=False)
class ReviewNotBegun(LedgerConflict):
    """A review is read that has no row: it never began, or the books were restored to a time before it."""

    transfer_id: TransferId
    attempt: int

    def __str__(self) -> str:
        return f"Attempt {self.attempt} of transfer {self.transfer_id} has no review."


@dataclass(eq=False)
class ReviewDecided(LedgerConflict):
    """A transfer whose review is decided goes on as it was decided."""

    transfer_id: TransferId
    attempt: int

    def __str__(self) -> str:
        return f"The review of attempt {self.attempt} of transfer {self.transfer_id} is decided."


@dataclass(eq=False)
class DecidedAlready(ActionRefused):
    """A reviewer's first decision is final, by whatever way they sent it."""

    code = "decided_already"
    decider: CustomerId

    def __str__(self) -> str:
        return f"{self.decider} has decided about this transfer already."


@dataclass(eq=False)
class DecidedTooLate(ActionRefused):
    """The review is over, or the transfer no longer needs one."""

    code = "too_late"
    transfer_id: TransferId
    status: str

    def __str__(self) -> str:
        return f"It is too late to decide: the transfer is {self.status}."


@dataclass(eq=False)
class DecidedElsewhere(ActionRefused):
    """Something else writes to the transfer at this moment; a batch does not wait for it."""

    code = "too_busy"
    transfer_id: TransferId

    def __str__(self) -> str:
        return "Something else writes to this transfer just now. Send the decision again."


def made_before(
    transfer: Transfer,
    attempt: int,
    terms: ReviewTerms | None,
    decisions: Sequence[Decision],
    decision: Decision,
    too_young: RoleTooYoung | None,
) -> Decision | None:
    """The same reviewer's same decision, recorded before; None: this one is new, and may be recorded.

    Everything was read under the transfer's row lock; `terms` None: its review has not begun. Raises `DecidedAlready`
    and `DecidedTooLate`: decisions never change, so every later check gets the same answer. Raises `too_young` for an
    approval where two are needed, or may be: the reviewer is no second pair of eyes yet. They may reject.
    """
    earlier = next((each for each in decisions if each.decider == decision.decider), None)
    if earlier is not None and earlier.ruling is decision.ruling:
        return earlier
    if transfer.attempt != attempt:
        raise DecidedTooLate(transfer.id, f"at attempt {transfer.attempt}")
    if transfer.state not in DECIDABLE:
        raise DecidedTooLate(transfer.id, transfer.state)
    if terms and (ruling := outcome(decisions, terms)):
        raise DecidedTooLate(transfer.id, "approved already" if ruling is Ruling.APPROVE else "rejected already")
    if earlier is not None:
        raise DecidedAlready(CustomerId(decision.decider))
    if (
        too_young is not None
        and decision.ruling is Ruling.APPROVE
        and (terms is None or terms.approvals > 1 or transfer.kind is Kind.FUNDING)
    ):
        raise too_young
    return None


@dataclass(frozen=True, slots=True)
class DecisionNotTaken:
    """A transfer of a batch that did not take the decision, and why."""

    transfer_id: TransferId
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class BatchOfDecisions:
    """What became of one decision about many transfers."""

    taken: list[Transfer]
    refused: list[DecisionNotTaken]
