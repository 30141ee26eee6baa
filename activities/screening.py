"""The fraud step: applies the screening rules of this worker."""

from collections.abc import Sequence

from temporalio import activity

from ledger.transfers import TransferOrder
from screening.rules import ScreeningRule, Verdict, screen


class ScreeningFailed(Exception):
    """A rule raised instead of answering. The step is retried until the rule answers; no money moves meanwhile."""


class ScreeningSteps:
    """Screening by a fixed list of rules. A rule that fails leaves the step in doubt: it never allows a transfer."""

    def __init__(self, rules: Sequence[ScreeningRule]) -> None:
        self._rules = rules

    @activity.defn
    async def screen_transfer(self, order: TransferOrder) -> Verdict:
        """The strictest answer of all rules. Raises `ScreeningFailed`, which is retried, if a rule raises anything.

        A rule's own exception does not leave this step: a non-retryable `ApplicationError` would read as a refusal.
        """
        try:
            return screen(order, self._rules)
        except Exception as error:
            raise ScreeningFailed(f"A screening rule failed: {error}") from error
