"""Projections, their rebuilds and the sinks of events, as requests and answers."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.accounts.models import StatisticsOut
from api.ownership.owned import Owned
from events.postgres.sinks import SinkStanding
from events.sink import SinkKind, SinkState
from ledger.accounts import Account
from ledger.ids import CustomerId, TransferId
from ledger.transfers import State, Transfer
from projections.postgres.reads import ProjectedStats, ProjectedStatus
from projections.projection import (
    ProjectionName,
    ProjectionRebuild,
    ProjectionRebuildId,
    ProjectionStanding,
    Stage,
)

_POSITION = "All events up to this position are in it; `GET /v1/events` has the same positions"


class ReachedStateOut(BaseModel):
    attempt: int = Field(examples=[1])
    state: State
    at: datetime


class TransferStatusOut(Owned):
    """When a transfer reached each of its states. It follows the transfer, mostly within a second."""

    not_found = "transfer_not_found"

    transfer_id: TransferId
    state: State
    attempt: int = Field(examples=[1])
    reached: list[ReachedStateOut] = Field(description="Oldest first; empty: none of its events is in it yet")
    latency_ms: int | None = Field(
        description="From the beginning of the last attempt to its end; null: it has not ended", examples=[41]
    )
    position: int = Field(description=_POSITION, examples=[4711])

    @classmethod
    def of(cls, transfer: Transfer, found: ProjectedStatus) -> "TransferStatusOut":
        status = found.status
        latency = status.latency if status else None
        return cls(
            transfer_id=transfer.id,
            state=status.state if status else State.INITIATED,
            attempt=status.attempt if status else 1,
            reached=[
                ReachedStateOut(attempt=each.attempt, state=each.state, at=each.at)
                for each in (status.reached if status else ())
            ],
            latency_ms=None if latency is None else round(latency.total_seconds() * 1000),
            position=found.position,
        ).owned_by(transfer.owner_id)


class ProjectedStatisticsOut(StatisticsOut):
    """The statistics of an account as the events tell them, up to a position."""

    position: int = Field(description=_POSITION, examples=[4711])

    @classmethod
    def projected(cls, account: Account, found: ProjectedStats) -> "ProjectedStatisticsOut":
        figures = StatisticsOut.of(account, found.figures).model_dump()
        return cls(**figures, position=found.position).owned_by(account.owner_id)


class SinkOut(BaseModel):
    """Who gets every event, and how far they are."""

    name: str = Field(examples=["account_stats"])
    kind: SinkKind
    state: SinkState = Field(description="`waiting`: no worker runs it; `off`: the settings do not name it")
    position: int = Field(description="The last event that it has delivered", examples=[4711])
    head: int = Field(description="The last event that there is", examples=[4712])
    lag_events: int = Field(examples=[1])
    lag_seconds: int = Field(description="Age of the first event that it has not delivered; 0: none", examples=[1])
    failing_since: datetime | None
    last_error: str | None = Field(description="Why the last delivery failed; null: it did not")

    @classmethod
    def of(cls, sink: SinkStanding, configured: frozenset[str]) -> "SinkOut":
        return cls(
            name=sink.name,
            kind=sink.kind,
            state=sink.state(configured),
            position=sink.position,
            head=sink.head,
            lag_events=sink.lag_events,
            lag_seconds=sink.lag_seconds,
            failing_since=sink.failing_since,
            last_error=sink.last_error,
        )


class RetiredSinkOut(BaseModel):
    """A sink that was forgotten."""

    name: str = Field(examples=["kafka"])
    position: int = Field(description="The last event that it had delivered", examples=[4711])


class SinksOut(BaseModel):
    items: list[SinkOut]


class ProjectionRebuildOut(BaseModel):
    """A rebuild of a projection, beside the rows that are shown."""

    id: ProjectionRebuildId
    projection: ProjectionName
    stage: Stage = Field(description="`books`: it applies old events; `dropping`: it is shown already")
    position: int = Field(description="The last event that it has folded", examples=[4000])
    goal: int = Field(description="The position of the rows that are shown", examples=[4711])
    requested_by: CustomerId | None = Field(description="null: a migration asked for it")
    reason: str | None
    requested_at: datetime
    completed_at: datetime | None

    @classmethod
    def of(cls, found: ProjectionRebuild) -> "ProjectionRebuildOut":
        return cls(
            id=found.id,
            projection=found.projection,
            stage=found.stage,
            position=found.position,
            goal=found.goal,
            requested_by=found.actor_id,
            reason=found.reason,
            requested_at=found.requested_at,
            completed_at=found.completed_at,
        )


class ProjectionOut(BaseModel):
    """A projection, and how far it is behind the events."""

    name: ProjectionName
    generation: int = Field(description="Which rows are shown; each rebuild makes the next. 0: none yet", examples=[1])
    state: SinkState
    position: int = Field(description=_POSITION, examples=[4711])
    head: int = Field(description="The last event that there is", examples=[4711])
    lag_events: int = Field(examples=[0])
    lag_seconds: int = Field(description="Age of the first event that is not in it; 0: none", examples=[0])
    applied_at: datetime | None = Field(description="When the last event came into it")
    failing_since: datetime | None
    last_error: str | None
    rebuild: ProjectionRebuildOut | None = Field(description="The newest rebuild")

    @classmethod
    def of(
        cls,
        found: ProjectionStanding,
        sink: SinkStanding | None,
        rebuild: ProjectionRebuild | None,
        configured: frozenset[str],
    ) -> "ProjectionOut":
        return cls(
            name=found.name,
            generation=found.generation,
            state=sink.state(configured) if sink else SinkState.WAITING,
            position=found.position,
            head=found.head,
            lag_events=found.lag_events,
            lag_seconds=found.lag_seconds,
            applied_at=found.applied_at,
            failing_since=sink.failing_since if sink else None,
            last_error=sink.last_error if sink else None,
            rebuild=ProjectionRebuildOut.of(rebuild) if rebuild else None,
        )


class ProjectionsOut(BaseModel):
    items: list[ProjectionOut]
