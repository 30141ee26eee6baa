"""Fraud screening: what a rule is, and the one built-in rule. Pure: a rule that calls a network needs an activity."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ledger.money import major_to_minor
from ledger.transfers import Kind, TransferOrder


class ScreeningAnswer(IntEnum):
    """The answer of a rule, mildest first. The strictest answer of all rules counts."""

    ALLOW = 0
    REVIEW = 1
    DECLINE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The strictest answer, and the rules that gave it. Operators see the rules, customers do not."""

    answer: ScreeningAnswer
    rules: list[str]


class ScreeningRule(Protocol):
    """One rule. It reads nothing but the order, so equal orders get equal answers."""

    @property
    def name(self) -> str:
        """The name that operators see."""

    def screen(self, order: TransferOrder) -> ScreeningAnswer:
        """The rule's answer for the order."""


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
        be, and a review would hold up a payee who gives back of their own will. Fundings have a rule of their own.
        """
        if order.kind in (Kind.REVERSAL, Kind.FUNDING):
            return ScreeningAnswer.ALLOW
        reached = order.amount_minor >= major_to_minor(self.from_major, order.currency)
        return self.answer if reached else ScreeningAnswer.ALLOW


@dataclass(frozen=True, slots=True)
class FundingThreshold:
    """Sends fundings from `from_major` major units of their currency on to review: two people are needed for them."""

    from_major: int
    name: str = "funding_four_eyes"

    def screen(self, order: TransferOrder) -> ScreeningAnswer:
        """Review from the threshold on; who asked for the funding cannot approve it."""
        is_large = order.amount_minor >= major_to_minor(self.from_major, order.currency)
        return ScreeningAnswer.REVIEW if order.kind is Kind.FUNDING and is_large else ScreeningAnswer.ALLOW


def screen(order: TransferOrder, rules: Sequence[ScreeningRule]) -> Verdict:
    """The strictest answer of all rules. No rules: allowed."""
    answers = [(rule.screen(order), rule.name) for rule in rules]
    strictest = max((answer for answer, _ in answers), default=ScreeningAnswer.ALLOW)
    named = [name for answer, name in answers if answer is strictest and answer is not ScreeningAnswer.ALLOW]
    return Verdict(strictest, named)
