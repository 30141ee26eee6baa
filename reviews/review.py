"""Human review: who decided what, and when that is enough. Pure: the waiting is the workflow's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ledger.ids import CustomerId
from ledger.money import major_to_minor
from ledger.refusals import ActionRefused
from ledger.transfers import Standing, TransferOrder
from staff.instructions import Unclear, action_id_in, texts_in


@dataclass(eq=False)
class DecidedAlready(ActionRefused):
    """The first word of each reviewer counts, whatever name and way it came by."""

    code = "decided_already"
    decider: CustomerId

    def __str__(self) -> str:
        return f"{self.decider} has decided about this transfer already."


DECISION_EXAMPLE = '{"decider": "cus_…", "ruling": "approve", "reason": "ticket 4711"}'


class Ruling(StrEnum):
    """What a reviewer says."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """One reviewer's word on one attempt of a transfer. The first word of each reviewer counts.

    `action_id` is the record of the admin API's request; None: it was typed in Temporal.
    """

    decider: str
    ruling: Ruling
    reason: str
    action_id: str | None = None


def decision_in(said: object) -> Decision:
    """The decision in a JSON value that somebody typed. Raises `Unclear`."""
    texts = texts_in(said, ("decider", "ruling", "reason"), DECISION_EXAMPLE)
    if texts["ruling"] not in set(Ruling):
        allowed = " or ".join(f"`{ruling}`" for ruling in Ruling)
        raise Unclear(f"There is no ruling `{texts['ruling']}`: say {allowed}, as in {DECISION_EXAMPLE}.")
    return Decision(texts["decider"], Ruling(texts["ruling"]), texts["reason"], action_id_in(said))


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How long a review may take, when its reviewers are reminded, and how many of them must approve."""

    deadline_seconds: int
    remind_after_seconds: int
    approvals: int


@dataclass(frozen=True, slots=True)
class Review:
    """A review as it begins, or as it is found again: where the transfer stands, and what was decided so far.

    `terms` are those it began on, `elapsed_seconds` ago.
    """

    standing: Standing
    terms: ReviewTerms
    decisions: list[Decision] = field(default_factory=list)
    elapsed_seconds: int = 0


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """What a service asks of its reviews: two different deciders from `four_eyes_from_major` major units on."""

    deadline_seconds: int
    remind_after_seconds: int
    four_eyes_from_major: int | None

    def terms(self, order: TransferOrder) -> ReviewTerms:
        """The terms of this order's review."""
        two = self.four_eyes_from_major is not None and order.amount_minor >= major_to_minor(
            self.four_eyes_from_major, order.currency
        )
        return ReviewTerms(self.deadline_seconds, self.remind_after_seconds, approvals=2 if two else 1)


def outcome(decisions: Sequence[Decision], terms: ReviewTerms) -> Ruling | None:
    """What the decisions amount to; None: not decided yet. One rejection is enough, and each decider counts once."""
    first_words: dict[str, Ruling] = {}
    for decision in decisions:
        first_words.setdefault(decision.decider, decision.ruling)
    if Ruling.REJECT in first_words.values():
        return Ruling.REJECT
    return Ruling.APPROVE if len(first_words) >= terms.approvals else None


def progress(decisions: Sequence[Decision], terms: ReviewTerms) -> str:
    """What is still needed and who has approved, for the people who watch a review that is not decided."""
    approved = list(dict.fromkeys(decision.decider for decision in decisions if decision.ruling is Ruling.APPROVE))
    missing = terms.approvals - len(approved)
    more = f"{missing} {'more ' if approved else ''}approval{'s' if missing > 1 else ''}"
    by = f" Approved by {', '.join(approved)}." if approved else ""
    return f"{more} or one rejection is needed, by the update `decide` or the admin API.{by}"


def objection_to_decision(decision: Decision, owner_id: str, decisions: Sequence[Decision]) -> str | None:
    """Why this decision cannot be taken, in a sentence; None: it can."""
    if not decision.decider.strip():
        return "Say who decides: decider is empty."
    if decision.decider == owner_id:
        return "The customer who asked for the transfer cannot decide about it."
    if not decision.reason.strip():
        return "Say why: reason is empty."
    if any(earlier.decider == decision.decider for earlier in decisions):
        return f"{decision.decider} has decided about this transfer already."
    return None


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """One decision, for every transfer whose workflow is named; each has `patience_seconds` to answer."""

    decision: Decision
    workflow_ids: list[str]
    patience_seconds: int = 60

    @property
    def summary(self) -> str:
        """What is decided of how many transfers, and by whom, in a line."""
        transfers = "1 transfer" if len(self.workflow_ids) == 1 else f"{len(self.workflow_ids)} transfers"
        return f"{self.decision.ruling.capitalize()} {transfers}, decided by {self.decision.decider}"


@dataclass(frozen=True, slots=True)
class DecisionNotTaken:
    """A transfer that did not take the decision, and why."""

    workflow_id: str
    why: str


@dataclass(slots=True)
class BatchProgress:
    """Where a batch stands: of `total` transfers so many have taken the decision, and these refused it.

    Of those `unanswered` nobody knows: they may take it yet. The same decision again is the same word.
    """

    total: int
    taken: int
    refused: list[DecisionNotTaken]
    unanswered: list[DecisionNotTaken] = field(default_factory=list)

    @property
    def told(self) -> str:
        """The same for people who watch: who has not taken the decision is counted apart, and where to read why."""
        told = f"{self.taken} of {self.total} have taken the decision"
        if self.refused:
            told += f", {len(self.refused)} refused it"
        if self.unanswered:
            told += f", {len(self.unanswered)} gave no answer"
        which = " Which ones, and why: the result, or the query `progress` until there is one."
        return f"{told}.{which if self.refused or self.unanswered else ''}"
