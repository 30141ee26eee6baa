"""What a screening rule is, what it may answer, and how the answers of all rules become one verdict.

Pure: a rule reads the order and the facts that it asked for, and nothing else. Equal orders with equal facts get equal
answers, today and in a dry run.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from ledger.ids import AccountId
from ledger.transfers import TransferOrder
from screening.facts import NO_FACTS, Facts, Need


class ScreeningAnswer(IntEnum):
    """The answer of a rule, mildest first. The strictest answer of all rules decides about the money.

    A flag never stops the money: it marks the account, and opens a case for staff.
    """

    ALLOW = 0
    FLAG = 1
    REVIEW = 2
    DECLINE = 3

    @classmethod
    def named(cls, name: str) -> "ScreeningAnswer":
        """`flag`, `review`, … as configurations write it. Raises `KeyError`."""
        return cls[name.upper()]

    @property
    def label(self) -> str:
        """`flag`, `review`, … as people read it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule objects to: its answer, a code for machines, and a reason that staff read.

    A flag marks `account_id`; None: the account of the customer whose money moves.
    """

    answer: ScreeningAnswer
    code: str
    reason: str
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say together. Operators see the rules that gave the strictest answer; customers do not.

    `rule_set` is the id of the rules that were asked. A verdict that `is_provisional` decides nothing: facts have to
    be read first, or what was found has to be kept.
    """

    answer: ScreeningAnswer
    rules: list[str] = field(default_factory=list)
    rule_set: str = ""
    is_provisional: bool = False


class ScreeningRule(Protocol):
    """One rule. A class of one's own needs these three and no base class."""

    @property
    def name(self) -> str:
        """The name that operators see, and the code of its findings."""

    def needs(self, order: TransferOrder) -> Collection[Need]:
        """The facts that the rule has to see for this order. None where the order alone decides."""

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        """What the rule objects to; None: nothing."""


def needs_of(order: TransferOrder, rules: Sequence[ScreeningRule]) -> frozenset[Need]:
    """All facts that the rules have to see for this order."""
    return frozenset(need for rule in rules for need in rule.needs(order))


def findings_of(order: TransferOrder, rules: Sequence[ScreeningRule], facts: Facts = NO_FACTS) -> list[Finding]:
    """What the rules object to, in their order."""
    found = (rule.screen(order, facts) for rule in rules)
    return [finding for finding in found if finding is not None and finding.answer is not ScreeningAnswer.ALLOW]


def verdict_of(findings: Sequence[Finding], rule_set: str = "") -> Verdict:
    """The strictest answer, and the codes of those who gave it. Without findings: allowed."""
    strictest = max((finding.answer for finding in findings), default=ScreeningAnswer.ALLOW)
    codes = dict.fromkeys(finding.code for finding in findings if finding.answer is strictest)
    return Verdict(strictest, list(codes), rule_set)
