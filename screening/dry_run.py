"""What a rule set would have done to past transfers, beside what was done. Pure: it counts, and reads nothing."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from ledger.transfers import TransferOrder
from screening.facts import Facts
from screening.rules import ScreeningAnswer, ScreeningRule, findings_of, verdict_of

MOST_EXAMPLES = 5

# What was done, and what would be done.
Outcomes = tuple[ScreeningAnswer, ScreeningAnswer]


@dataclass(frozen=True, slots=True)
class PastTransfer:
    """A transfer that was screened, when it was opened, and what screening answered."""

    order: TransferOrder
    opened_at: datetime
    answer: ScreeningAnswer


@dataclass(frozen=True, slots=True)
class Example:
    """A transfer whose outcome would change, and why."""

    transfer: PastTransfer
    codes: list[str]
    reasons: list[str]


@dataclass(slots=True)
class DryRun:
    """Counts what the rules would have answered. Nothing is changed by it."""

    rules: tuple[ScreeningRule, ...]
    transfers: int = 0
    outcomes: Counter[Outcomes] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    examples: dict[Outcomes, list[Example]] = field(default_factory=dict)

    def add(self, past: PastTransfer, facts: Facts) -> None:
        """Ask the rules about one more transfer."""
        findings = findings_of(past.order, self.rules, facts)
        answer = verdict_of(findings).answer
        self.transfers += 1
        self.outcomes[past.answer, answer] += 1
        self.by_rule.update({finding.code for finding in findings})
        if answer is not past.answer:
            kept = self.examples.setdefault((past.answer, answer), [])
            if len(kept) < MOST_EXAMPLES:
                codes = [finding.code for finding in findings]
                kept.append(Example(past, codes, [finding.reason for finding in findings]))
