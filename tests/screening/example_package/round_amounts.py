"""A screening rule of one's own: large round amounts that go out again and again."""

from collections.abc import Collection
from dataclasses import dataclass

from ledger.money import major_to_minor
from ledger.transfers import Kind, TransferOrder
from screening.facts import Facts, MovementsWithin, Need
from screening.rules import Finding, ScreeningAnswer

SENT = MovementsWithin((Kind.TRANSFER, Kind.WITHDRAWAL), seconds=86_400)


@dataclass(frozen=True)
class RoundAmount:
    """Answers to a multiple of `multiple_major`, if it is at least the second payment of its day.

    The fields are what a configuration may set. `needs` and `screen` must depend on their arguments alone.
    """

    multiple_major: int
    answer: ScreeningAnswer = ScreeningAnswer.FLAG
    name: str = "round_amount"

    def needs(self, order: TransferOrder) -> Collection[Need]:
        """Facts cost a query: ask only where they can matter."""
        return (SENT,) if self._is_round(order) else ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        """A finding, or None."""
        if not self._is_round(order) or facts.movements(SENT).count == 1:
            return None
        return Finding(self.answer, self.name, f"{order.amount} is round, and not the first payment of the day.")

    def _is_round(self, order: TransferOrder) -> bool:
        is_sent = order.kind in (Kind.TRANSFER, Kind.WITHDRAWAL)
        return is_sent and order.amount_minor % major_to_minor(self.multiple_major, order.currency) == 0
