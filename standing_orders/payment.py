"""What is paid of many occurrences at once: decided one after the other, each sees what those before it take. Pure.

The rules are those of single transfers. An occurrence that passes them all becomes an order for the ledger, which asks
them again; one that a rule refuses for now leaves nothing in the books, so that its one transfer is still to come.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from ledger import rules
from ledger.accounts import Account
from ledger.ids import AccountId
from ledger.limits.tier_limits import LimitTable
from ledger.transfers import TransferOrder
from standing_orders.calendar import RunHours
from standing_orders.occurrence import NOTHING_ABOVE, DueOccurrence, Occurrence, OccurrenceState


@dataclass(frozen=True, slots=True)
class Payment:
    """An occurrence that the ledger is to pay now, by this order, which is not signed yet."""

    due: DueOccurrence
    order: TransferOrder


@dataclass(slots=True)
class Payments:
    """The decisions of one turn. `accounts` are locked, and change here as the ledger will change them.

    Screening is asked by the posting: what it stops has taken nothing, though it counts here as paid.
    """

    accounts: dict[AccountId, Account]
    limits: LimitTable
    hours: RunHours
    now: datetime
    to_post: list[Payment] = field(default_factory=list)
    decided: list[Occurrence] = field(default_factory=list)

    def add(self, due: DueOccurrence) -> None:
        """Decide about the next one."""
        if missed := due.missed_by_outage(self.now):
            self.decided.append(missed)
            return
        source = self.accounts.get(due.occurrence.source_account_id)
        destination = self.accounts.get(due.occurrence.destination_account_id)
        amount = due.amount_from(source)
        if amount is None:
            self.decided.append(due.skipped(NOTHING_ABOVE))
            return
        order = due.order(amount)
        if refusal := rules.objection_to(order, source, destination, self.limits, self.now):
            self.decided.append(due.refused(refusal, self.hours, self.now))
            return
        assert source is not None, "no rule objects"
        assert destination is not None, "no rule objects"
        self.to_post.append(Payment(due, order))
        self._take(order, source, destination)

    def without(self, unpaid: Collection[AccountId]) -> list[Occurrence]:
        """The decisions that stand although these accounts were not debited.

        Whoever was refused because of a payment that did not happen is due still, and tried by the next sweep.
        """
        ended_well = (OccurrenceState.FAILED,)
        return [each for each in self.decided if each.state in ended_well or each.source_account_id not in unpaid]

    def _take(self, order: TransferOrder, source: Account, destination: Account) -> None:
        spending = source.spending.plus(order.amount_minor, source.spending.not_before(self.now))
        self.accounts[source.id] = replace(
            source,
            balance_minor=source.balance_minor - order.amount_minor,
            spent_on=spending.day,
            spent_day_minor=spending.day_minor,
            spent_month_minor=spending.month_minor,
        )
        self.accounts[destination.id] = replace(
            destination, balance_minor=destination.balance_minor + order.amount_minor
        )
