"""Transfers that lost their workflow, and what recovery did about each. Pure: Temporal knows which workflows run."""

from dataclasses import dataclass, field
from datetime import datetime

from ledger.transfers import State, TransferOrder
from ledger.workflow_ids import recovery_workflow_id


@dataclass(frozen=True, slots=True)
class Stranded:
    """A transfer that is not final and has no running workflow.

    `is_decided`: the decision of a dispute has ordered it, or its review is decided.
    """

    order: TransferOrder
    state: State
    is_decided: bool = False

    @property
    def is_driven_on(self) -> bool:
        """Whether it is resumed: its money is in transit, or staff have decided it. Any other one is abandoned."""
        return self.is_decided or self.state is State.DEBITED

    @property
    def recovery_id(self) -> str:
        """The workflow that resumes it: one for each attempt, however often recovery finds it."""
        return recovery_workflow_id(self.order.transfer_id, self.order.attempt)


@dataclass(frozen=True, slots=True)
class StrandedTransfers:
    """The stranded transfers that one sweep found. `more`: it stopped at one of its limits, so there may be others."""

    stranded: list[Stranded]
    more: bool


@dataclass(frozen=True, slots=True)
class SweepRun:
    """The run of recovery that acts, as Temporal knows it."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Abandonment:
    """That recovery ended an attempt, kept for good: which run, when and why, and the states before and after."""

    attempt: int
    workflow_id: str
    run_id: str
    reason: str
    state_before: State
    state_after: State
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of one sweep: ids of transfers by what it did with them, and of what it started again.

    `disputes` are ids of disputes, `onboardings` are ids of customers, `endpoints` are webhook endpoints that it woke.

    `looked_at` counts the stranded transfers that it found. `driven_on` are those that it resumed. `unanswered` has the
    error of each transfer that it could neither end nor resume: the next sweep tries again. `more`: there may be
    other stranded transfers, which the next sweeps find.
    """

    looked_at: int
    abandoned: list[str]
    driven_on: list[str]
    disputes: list[str] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    more: bool = False
    tier_requests: list[str] = field(default_factory=list)
    onboardings: list[str] = field(default_factory=list)
    rebuilds: list[str] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
