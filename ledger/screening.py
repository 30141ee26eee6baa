"""Fraud screening: what a rule is, and the one rule there is. Pure: a rule that must ask somebody is an activity."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ledger.money import major_to_minor
from ledger.transfers import TransferOrder


class Answer(IntEnum):
    """What screening says, mildest first: of several rules the strictest answer counts."""

    ALLOW = 0
    DECLINE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The strictest answer, and the rules that gave it (for operators; customers are not told)."""

    answer: Answer
    rules: list[str]


class ScreeningRule(Protocol):
    """One rule. It sees the order alone, so the same order always gets the same answer."""

    @property
    def name(self) -> str:
        """How operators know the rule."""

    def screen(self, order: TransferOrder) -> Answer:
        """What this rule says of the order."""


@dataclass(frozen=True, slots=True)
class AmountThreshold:
    """Declines an amount from `decline_from_major` major units of its currency on."""

    decline_from_major: int
    name: str = "amount_threshold"

    def screen(self, order: TransferOrder) -> Answer:
        """Decline from the threshold on, the threshold included."""
        threshold = major_to_minor(self.decline_from_major, order.currency)
        return Answer.DECLINE if order.amount_minor >= threshold else Answer.ALLOW


def screen(order: TransferOrder, rules: Sequence[ScreeningRule]) -> Verdict:
    """The strictest answer of all rules. No rules: allowed."""
    answers = [(rule.screen(order), rule.name) for rule in rules]
    strictest = max((answer for answer, _ in answers), default=Answer.ALLOW)
    named = [name for answer, name in answers if answer is strictest and answer is not Answer.ALLOW]
    return Verdict(strictest, named)
