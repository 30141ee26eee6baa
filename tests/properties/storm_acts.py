"""What may happen in a storm: who takes part, what they do, which steps get no answer, and what came of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import event
from hypothesis import strategies as st

from disputes.dispute import Dispute
from ledger.ids import CustomerId
from ledger.transfers import State, Transfer
from tests.orders import Holder

STEPS = ("open", "debit", "credit", "refund", "end", "notify")


@dataclass(frozen=True)
class Fault:
    """The next calls of a step get no answer, before or after it was done."""

    step: str
    after: bool
    times: int


@dataclass(frozen=True)
class Act:
    """What somebody does, to which of the transfers, and how many milliseconds after the act before."""

    what: str
    after_ms: int
    which: int = 0
    on: int = 0


# An act that was done: neither refused, nor without anything to be done to.
TAKEN = "taken"

INTERVENING = ("cancel", "terminate", "reset", "start", "approve", "reject", "retry_now", "give_back", "retry", "sweep")
FREEZES = ("freeze_source", "freeze_destination", "unfreeze")
REVERSING = ("reverse", "reverse_at_once")
RULING = ("rule_to_reverse", "rule_to_reject", "rule_at_once")
HOLDING = ("hold", "release")
DISPUTING = (
    "dispute",
    "state_case",
    "cancel_dispute",
    "terminate_dispute",
    "reset_dispute",
    "start_dispute",
    *HOLDING,
    *RULING,
)

faults = st.builds(Fault, st.sampled_from(STEPS), st.booleans(), st.integers(1, 3))


def acts(*what: str) -> st.SearchStrategy[Act]:
    return st.builds(Act, st.sampled_from(what), st.integers(0, 60), st.integers(0, 5), st.integers(0, 5))


@dataclass(frozen=True)
class Cast:
    """Who takes part. `staff` decide disputes, and the last of them is an admin."""

    payer: Holder
    payee: Holder
    staff: tuple[CustomerId, CustomerId]


@dataclass(frozen=True)
class Aftermath:
    """What is left when nothing moves any more."""

    transfer: Transfer
    reversals: list[Transfer]
    disputes: list[Dispute]

    @property
    def brought_back_minor(self) -> int:
        return sum(one.amount_minor for one in self.reversals if one.state is State.COMPLETED)


@dataclass
class Tally:
    """What came of each act, over all storms of a run: a storm in which every act is refused shows nothing."""

    counted: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, act: str, came_to: str) -> None:
        self.counted[act, came_to] += 1
        event(f"{act}: {came_to}")

    def taken(self, acts: Iterable[str]) -> set[str]:
        """Those of the acts that were taken at least once."""
        return {act for act in acts if self.counted[act, TAKEN]}
