"""What staff read of Temporal: a transfer's pending step with who holds its accounts, and recovery's schedule."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.temporal import RecoverySweep, SweepStatus
from ledger.ids import AccountId


class RowHolderOut(BaseModel):
    """A database session that has locked an account's row. Steps wait for it, or come again."""

    account_id: AccountId
    pid: int = Field(description="Of its server process: what `pg_terminate_backend` takes", examples=[4711])
    login: str = Field(examples=["ade"])
    application: str = Field(examples=["psql"])
    address: str | None
    activity: str | None = Field(examples=["idle in transaction"])
    seconds: int | None = Field(description="How old its transaction is", examples=[95])
    waiting: int = Field(description="So many sessions wait for it now", examples=[1])


class PendingStepOut(BaseModel):
    """The step that a transfer's workflow waits for. `step` null: it waits for people, or for its next task."""

    workflow_id: str
    step: str | None = Field(examples=["credit_destination"])
    attempt: int = Field(examples=[17])
    failure: str | None = Field(description="Why the last attempt had no answer")
    last_tried_at: datetime | None
    next_try_at: datetime | None = Field(description="Null while it is tried")
    is_paused: bool = Field(description="Somebody has paused the step in Temporal: it is not tried")


class StuckOut(BaseModel):
    """Why a transfer does not go on. `pending` null: no workflow drives it, and recovery will.

    Of a holder, `address`, `activity` and `seconds` are null where the service's login lacks `pg_read_all_stats`.
    """

    pending: PendingStepOut | None
    holders: list[RowHolderOut] = Field(description="Who holds the rows of its accounts now, the longest first")


class SweepOut(BaseModel):
    """A run of recovery: ids of transfers by what it did with them, and how much else it started again."""

    workflow_id: str
    temporal_url: str | None
    started_at: datetime
    status: SweepStatus
    looked_at: int | None = Field(description="Transfers without a workflow that it found; null: no result yet")
    abandoned: list[str]
    driven_on: list[str]
    unanswered: dict[str, str] = Field(description="Why it could neither end nor resume them: the next sweep tries")
    started_again: int = Field(description="Disputes, onboardings, requests, rebuilds, batches")
    more: bool

    @classmethod
    def of(cls, sweep: RecoverySweep, temporal_url: str | None) -> "SweepOut":
        found = sweep.found
        started = (
            [*found.disputes, *found.onboardings, *found.tier_requests, *found.rebuilds, *found.batches]
            if found
            else []
        )
        return cls(
            workflow_id=sweep.workflow_id,
            temporal_url=temporal_url,
            started_at=sweep.started_at,
            status=sweep.status,
            looked_at=found.looked_at if found else None,
            abandoned=found.abandoned if found else [],
            driven_on=found.driven_on if found else [],
            unanswered=found.unanswered if found else {},
            started_again=len(started),
            more=found.more if found else False,
        )


class RecoveryOut(BaseModel):
    """Recovery's schedule in Temporal, and its last sweeps, newest first."""

    is_scheduled: bool = Field(description="False: Temporal has lost the schedule. The API registers it anew")
    is_paused: bool
    note: str | None = Field(description="Why it is paused, in the words of whoever paused it")
    next_sweep_at: datetime | None
    sweeps: list[SweepOut]
