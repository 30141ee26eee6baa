"""The fraud step: applies the screening rules of this worker."""

from collections.abc import Sequence

from temporalio import activity

from ledger.transfers import TransferOrder
from screening.rules import ScreeningRule, Verdict, screen


class ScreeningSteps:
    """Screening by a fixed list of rules. A rule that fails leaves the step in doubt: it never allows a transfer."""

    def __init__(self, rules: Sequence[ScreeningRule]) -> None:
        self._rules = rules

    @activity.defn
    async def screen_transfer(self, order: TransferOrder) -> Verdict:
        """The strictest answer of all rules."""
        return screen(order, self._rules)
