"""Transfers that nobody drives any more, and what is done about each. Pure: who drives what, Temporal knows."""

import re
from dataclasses import dataclass, field

from ledger.ids import TransferId
from ledger.transfers import State, TransferOrder

_RECOVERY_ID = re.compile(r"recover/(?P<transfer>[^/]+)/\d+")


def transfer_driven_by(recovery_id: str) -> TransferId | None:
    """The transfer that a workflow of recovery drives on; None: the ID is not one of recovery's."""
    found = _RECOVERY_ID.fullmatch(recovery_id)
    return TransferId(found["transfer"]) if found else None


@dataclass(frozen=True, slots=True)
class Stranded:
    """A transfer that is not final and has no running workflow."""

    order: TransferOrder
    state: State

    @property
    def recovery_id(self) -> str:
        """The workflow that drives it on: one per attempt, whatever finds it however often."""
        return f"recover/{self.order.transfer_id}/{self.order.attempt}"


@dataclass(frozen=True, slots=True)
class StrandedTransfers:
    """What one look found stranded. `more`: it stopped at one of its limits, and there may be others."""

    stranded: list[Stranded]
    more: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one recovery run did: ids of transfers by what became of them, and of disputes that were started again.

    `unanswered` says of each transfer that could not be ended or driven on why not: the next run tries it again. `more`
    says that there may be others, which the next runs find.
    """

    looked_at: int
    cancelled: list[str]
    driven_on: list[str]
    disputes: list[str] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    more: bool = False
