"""Fraud screening: what a rule is, and the one rule there is. Pure: a rule that must ask somebody is an activity."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ledger.money import major_to_minor
from ledger.transfers import Kind, TransferOrder


class ScreeningAnswer(IntEnum):
    """What screening says, mildest first: of several rules the strictest answer counts."""

    ALLOW = 0
    REVIEW = 1
    DECLINE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The strictest answer, and the rules that gave it (for operators; customers are not told)."""

    answer: ScreeningAnswer
    rules: list[str]


class ScreeningRule(Protocol):
    """One rule. It sees the order alone, so the same order always gets the same answer."""

    @property
    def name(self) -> str:
        """How operators know the rule."""

    def screen(self, order: TransferOrder) -> ScreeningAnswer:
        """What this rule says of the order."""


@dataclass(frozen=True, slots=True)
class AmountThreshold:
    """Gives its answer to an amount from `from_major` major units of its currency on, the threshold included."""

    from_major: int
    answer: ScreeningAnswer = ScreeningAnswer.DECLINE

    @property
    def name(self) -> str:
        """`amount_decline` or `amount_review`."""
        return f"amount_{self.answer.name.lower()}"

    def screen(self, order: TransferOrder) -> ScreeningAnswer:
        """The answer from the threshold on; below it, allowed.

        A reversal brings back what was screened on its way out: declining it would keep the money where it should not
        be, and a review would hold up a payee who gives back of their own will.
        """
        if order.kind is Kind.REVERSAL:
            return ScreeningAnswer.ALLOW
        reached = order.amount_minor >= major_to_minor(self.from_major, order.currency)
        return self.answer if reached else ScreeningAnswer.ALLOW


def screen(order: TransferOrder, rules: Sequence[ScreeningRule]) -> Verdict:
    """The strictest answer of all rules. No rules: allowed."""
    answers = [(rule.screen(order), rule.name) for rule in rules]
    strictest = max((answer for answer, _ in answers), default=ScreeningAnswer.ALLOW)
    named = [name for answer, name in answers if answer is strictest and answer is not ScreeningAnswer.ALLOW]
    return Verdict(strictest, named)
