"""Projections: rows that follow from events, beside the books. Pure: no I/O, no clock.

A projection has generations. One is shown and follows the events. A rebuild fills the next one beside it, from the
first event on, and shows it once it has come as far.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from ledger.ids import ActionId, CustomerId
from ledger.refusals import ActionRefused

ProjectionRebuildId = NewType("ProjectionRebuildId", str)


class ProjectionName(StrEnum):
    """The projections that Remit keeps itself. Each is a sink of the same name."""

    ACCOUNT_STATS = "account_stats"
    TRANSFER_STATUS = "transfer_status"


class Stage(StrEnum):
    """How far a rebuild has come.

    It empties its place, takes from the books what no event that is kept tells, folds the events, and is shown; then
    the generation before it is dropped.
    """

    REQUESTED = "requested"
    BOOKS = "books"
    EVENTS = "events"
    DROPPING = "dropping"
    COMPLETED = "completed"


class OutOfOrder(Exception):
    """The next event does not follow from what was projected. Nothing is written: the rows would be wrong."""


@dataclass(frozen=True, slots=True)
class ProjectionRebuild:
    """A rebuild of a projection. `goal` is how far the shown generation is; `action_id` None: a migration asked for it.

    `generation` is the one that it fills, and `starts_after` the last position whose event may be gone: what is up to
    there comes from the books. None: it has not begun.
    """

    id: ProjectionRebuildId
    projection: ProjectionName
    generation: int | None
    stage: Stage
    position: int
    goal: int
    starts_after: int | None
    action_id: ActionId | None
    actor_id: CustomerId | None
    reason: str | None
    requested_at: datetime
    completed_at: datetime | None

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.stage is not Stage.COMPLETED


@dataclass(frozen=True, slots=True)
class ProjectionStanding:
    """How far the shown generation of a projection is. Generation 0: nothing is shown before the first rebuild.

    `lag_seconds` is the age of the first event that it has not applied; 0: it has applied all.
    """

    name: ProjectionName
    generation: int
    position: int
    applied_at: datetime | None
    head: int
    lag_seconds: int

    @property
    def lag_events(self) -> int:
        """How many events it has not applied."""
        return max(self.head - self.position, 0)


@dataclass(eq=False)
class NoSuchProjection(ActionRefused):
    """No projection has this name."""

    code = "projection_not_found"
    name: str

    def __str__(self) -> str:
        return f"There is no projection {self.name}: there are {', '.join(ProjectionName)}."


@dataclass(eq=False)
class ProjectionRebuildRunning(ActionRefused):
    """A projection has one rebuild at a time."""

    code = "projection_rebuild_running"
    name: ProjectionName

    def __str__(self) -> str:
        return f"A rebuild of {self.name} is running: wait until it is completed."
