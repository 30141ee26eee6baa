"""The facts of many orders that are decided one after the other. Pure: no I/O, no clock.

They are what the books had before, and what the orders before each one have added.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.accounts import Account
from ledger.ids import AccountId
from ledger.transfers import TransferOrder
from screening.facts import AvailableBalance, Movements, MovementsWithin, Need, PaidBefore, ReceivedWithin


@dataclass(slots=True)
class BulkFacts:
    """Movements by account and need, and pairs of accounts of which the first has paid the second before."""

    movements: dict[tuple[AccountId, Need], Movements] = field(default_factory=dict)
    paid: set[tuple[AccountId, AccountId]] = field(default_factory=set)

    def values(self, order: TransferOrder, source: Account, needs: Collection[Need]) -> Mapping[Need, Any]:
        """What the rules see of this order if its workflow ran now, after all that `add` was told."""
        return {need: self._value(need, order, source) for need in needs}

    def _value(self, need: Need, order: TransferOrder, source: Account) -> object:
        if isinstance(need, AvailableBalance):
            return source.balance_minor - source.held_minor
        if isinstance(need, PaidBefore):
            return (order.source_account_id, order.destination_account_id) in self.paid
        found = self.movements.get((source.id, need), Movements(0, 0))
        return _plus(found, order) if isinstance(need, MovementsWithin) else found

    def add(self, order: TransferOrder, needs: Collection[Need], *, is_completed: bool) -> None:
        """Count an order that was let pass. One that waits for a person counts as sent, and as nothing else."""
        source, destination = order.source_account_id, order.destination_account_id
        if is_completed:
            self.paid.add((source, destination))
        for need in needs:
            if isinstance(need, MovementsWithin) and order.kind in need.kinds:
                self._count(source, need, order)
            if isinstance(need, ReceivedWithin) and order.kind in need.kinds and is_completed:
                self._count(destination, need, order)

    def _count(self, account_id: AccountId, need: Need, order: TransferOrder) -> None:
        known = self.movements.get((account_id, need), Movements(0, 0))
        self.movements[account_id, need] = _plus(known, order)


def _plus(found: Movements, order: TransferOrder) -> Movements:
    return Movements(found.count + 1, found.sum_minor + order.amount_minor)
