"""The facts that rules may ask for. Pure: `screening/postgres/facts.py` reads those of one transfer in one query.

A rule names each fact by a need, and finds its value under the same need. So a rule that asks for nothing costs
nothing, and two rules that ask for the same cost as much as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from ledger.transfers import Kind

# The two sides of a transfer, as people who write rules call them.
Party = Literal["payer", "payee"]

# A rule sees at most so many of an account's newest movements in a period. It bounds what a very busy account costs.
MOST_MOVEMENTS = 10_000

MONTH_SECONDS = 31 * 86_400


@dataclass(frozen=True, slots=True)
class Movements:
    """How many transfers, and how much together in minor units."""

    count: int
    sum_minor: int


@dataclass(frozen=True, slots=True)
class MovementsWithin:
    """The transfers of these kinds that left the payer's account in one period of so many seconds.

    The value is a `Movements`: the most in any such period that holds this transfer, with this one counted. Transfers
    that have failed, were cancelled or were compensated do not count.
    """

    kinds: tuple[Kind, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class PaidBefore:
    """Whether the payer's account has paid the payee's account before, by a transfer that has left it. A `bool`."""


@dataclass(frozen=True, slots=True)
class ReceivedWithin:
    """What transfers of these kinds brought to the payer's account in so many seconds before this one.

    The value is a `Movements`. Only what has arrived counts.
    """

    kinds: tuple[Kind, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class AvailableBalance:
    """What the payer's account could spend before this transfer, in minor units. An `int`."""


Need = MovementsWithin | PaidBefore | ReceivedWithin | AvailableBalance


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules see beside the order: the values of their needs, and the lists that the two accounts are on.

    The lists are always there, because they cost nothing: each process holds them.
    """

    values: Mapping[Need, Any] = field(default_factory=dict)
    payer_lists: tuple[str, ...] = ()
    payee_lists: tuple[str, ...] = ()

    def movements(self, need: MovementsWithin | ReceivedWithin) -> Movements:
        """The value of this need. Raises `KeyError` where the rule did not ask for it."""
        return cast("Movements", self.values[need])

    def paid_before(self) -> bool:
        """The value of `PaidBefore`."""
        return cast("bool", self.values[PaidBefore()])

    def available_minor(self) -> int:
        """The value of `AvailableBalance`."""
        return cast("int", self.values[AvailableBalance()])

    def lists_of(self, party: Party) -> tuple[str, ...]:
        """The lists that the payer's or the payee's account is on."""
        return self.payer_lists if party == "payer" else self.payee_lists

    def as_json(self) -> dict[str, Any]:
        """What is kept with a verdict: only what the rules saw."""
        values: dict[str, Any] = {}
        for need, value in self.values.items():
            values[_name_of(need)] = (
                {"count": value.count, "sum": value.sum_minor} if isinstance(value, Movements) else value
            )
        if self.payer_lists:
            values["payer_lists"] = list(self.payer_lists)
        if self.payee_lists:
            values["payee_lists"] = list(self.payee_lists)
        return dict(sorted(values.items()))


NO_FACTS = Facts()

_NAMES: Mapping[type, str] = {
    PaidBefore: "paid_before",
    AvailableBalance: "available_balance",
    MovementsWithin: "sent",
    ReceivedWithin: "received",
}


def _name_of(need: Need) -> str:
    name = _NAMES[type(need)]
    if isinstance(need, MovementsWithin | ReceivedWithin):
        return f"{name}_{'_'.join(need.kinds)}_within_{need.seconds}_seconds"
    return name
