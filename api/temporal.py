"""What the API asks of Temporal: it starts, cancels and updates the workflows of transfers, and lists workflows.

While Temporal gives no answer, a call raises `TemporalUnavailable`, which `api/error_responses.py` turns into a 503.
Only calls that nobody depends on, such as waking a workflow, log it and return.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.client import (
    ScheduleActionExecutionStartWorkflow,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.long_workflows import NUDGE_SECONDS, LongWorkflows
from api.temporal_connection import (
    RPC_LIMIT,
    RPC_SECONDS,
    TemporalUnavailable,
    UnknownToTemporal,
    unavailable_on_failure,
)
from api.update_delivery import delivered_update
from ledger.recovery import Stranded, Sweep, SweepRun
from ledger.transfers import Transfer, TransferOrder
from workflows.policies import TASK_TIMEOUT
from workflows.search_attributes import NEEDS_ATTENTION, search_attributes, summary
from workflows.sweeps.schedules import RECOVERY_SCHEDULE
from workflows.transfer.saga import TransferWorkflow

log = structlog.get_logger()

# What a workflow's memo tells repeats that come before its row: the fingerprint of its order, and the amount that a
# request for all that is left has found.
FINGERPRINT = "fingerprint"
AMOUNT_MINOR = "amount_minor"
# What Temporal puts around a failure whose trace is too long to keep.
TOO_LONG = "Failure exceeds size limit."
# The code of an update that no running workflow could take.
NO_WORKFLOW = "no_workflow"
# Temporal's type of the failure of an update whose workflow ended after it took the update, and before it answered.
ENDED_BEFORE_ITS_ANSWER = "AcceptedUpdateCompletedWorkflow"
NUDGES_AT_ONCE = 10
# The most transfers in the list of those that need attention. More than that is an outage, not a list to work through.
MOST_FLAGGED = 10_000


class UpdateRefused(Exception):
    """A workflow refused an update, or none runs that could take it. `code` is stable; the message is for people."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class StartedOrder:
    """What a workflow was started with: the fingerprint of its order, and whether it still runs.

    `amount_minor` is only told of an order for all that was left.
    """

    fingerprint: str | None
    is_running: bool
    amount_minor: int | None = None


class SweepStatus(StrEnum):
    """How a run of recovery stands in Temporal."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    CONTINUED_AS_NEW = "continued_as_new"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RecoverySweep:
    """A run of recovery. `found` is None while it runs, and where it ended without a result."""

    workflow_id: str
    started_at: datetime
    status: SweepStatus
    found: Sweep | None


@dataclass(frozen=True, slots=True)
class RecoverySchedule:
    """Whether an operator has paused recovery and why, when it last began and begins next; None: not yet, or never."""

    is_paused: bool
    last_sweep_at: datetime | None
    note: str | None = None
    next_sweep_at: datetime | None = None
    runs: tuple[SweepRun, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingStep:
    """What a running workflow waits for. `step` None: for no step, but for people, a timer, or its next task."""

    workflow_id: str
    step: str | None = None
    attempt: int = 0
    failure: str | None = None
    last_tried_at: datetime | None = None
    next_try_at: datetime | None = None
    is_paused: bool = False


class TemporalGateway(LongWorkflows):
    """All that requests ask of Temporal, over one connection."""

    async def start(self, order: TransferOrder, *, after_another: bool = False) -> bool:
        """Start the transfer's workflow. False: a workflow with this id exists, running or closed, of any order.

        Temporal rejects duplicates also of a closed workflow, so a workflow ID never runs a transfer twice.
        `after_another` also starts it behind a closed workflow, for a key that the closed one did not get. Where the
        API and a worker share the client, the first task starts eagerly: it arrives with this answer instead of going
        through the task queue. Raises `TemporalUnavailable`: the workflow may have started, and the same call again
        finds it.
        """
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if after_another else WorkflowIDReusePolicy.REJECT_DUPLICATE
        try:
            async with asyncio.timeout(RPC_SECONDS):
                await self._client.start_workflow(
                    TransferWorkflow.run,
                    order,
                    id=order.workflow_id,
                    task_queue=self.task_queue,
                    id_reuse_policy=reuse,
                    task_timeout=TASK_TIMEOUT,
                    request_eager_start=True,
                    search_attributes=search_attributes(order),
                    memo=_memo(order),
                    static_summary=summary(order),
                    rpc_timeout=RPC_LIMIT,
                )
        except WorkflowAlreadyStartedError:
            return False
        except (RPCError, RuntimeError, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT:
                self._check_registered(error)
                raise  # a defect of this code: a repeat would not help
            raise TemporalUnavailable(str(error)) from error
        return True

    def _check_registered(self, error: RPCError) -> None:
        """Raise `TemporalUnavailable` where Temporal knows our search attributes no more: it has come back empty."""
        if "search attribute" in error.message.lower():
            self.registration_doubted.set()
            raise TemporalUnavailable(str(error)) from error

    async def cancel(self, workflow_id: str) -> None:
        """Request cancellation of a transfer's workflow. A workflow that has ended and a silent Temporal are logged."""
        try:
            async with unavailable_on_failure():
                await self._client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_LIMIT)
        except TemporalUnavailable as error:
            log.info("no cancellation reached the workflow", workflow_id=workflow_id, error=str(error))

    async def update(self, transfer: Transfer, name: str, argument: object, update_id: str) -> str:
        """Send an update to the workflow that drives the transfer, and return its answer.

        The same update id gets the same answer. Raises `UpdateRefused` where the workflow refuses, none runs, or it
        ends before it answers, and `TemporalUnavailable` where no worker or no server answers in time.
        """
        for workflow_id in _drivers_of(transfer):
            handle = self._client.get_workflow_handle(workflow_id)
            try:
                answer: str = await self._unless_silent(delivered_update(handle, name, argument, update_id))
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if not isinstance(cause, ApplicationError):
                    raise TemporalUnavailable(str(cause)) from error
                if cause.type == ENDED_BEFORE_ITS_ANSWER:
                    continue
                raise UpdateRefused(cause.message, code=cause.type or "") from error
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise TemporalUnavailable(str(error)) from error
            except (WorkflowUpdateRPCTimeoutOrCancelledError, RuntimeError) as error:
                raise TemporalUnavailable(str(error)) from error
            else:
                return answer
        raise UpdateRefused("No workflow runs for the transfer any more.", code=NO_WORKFLOW)

    async def needing_attention(self) -> list[str]:
        """IDs of the workflows that Temporal marks as needing attention, at most `MOST_FLAGGED`.

        Temporal's list lags by about a second: it may miss a step that has just become stuck, and still hold one that
        has recovered. Raises `TemporalUnavailable`.
        """
        async with unavailable_on_failure():
            found = self._client.list_workflows(
                self._flagged, limit=MOST_FLAGGED, page_size=1000, rpc_timeout=RPC_LIMIT
            )
            return [each.id async for each in found]

    async def count_needing_attention(self, within_seconds: float) -> int:
        """How many workflows need attention, in one call. Raises `TemporalUnavailable`, also when the time is over."""
        async with unavailable_on_failure(within_seconds):
            return (await self._client.count_workflows(self._flagged)).count

    async def recovery_schedule(self) -> RecoverySchedule | None:
        """The schedule of recovery as Temporal has it; None where there is none. Raises `TemporalUnavailable`."""
        try:
            async with unavailable_on_failure():
                found = await self._client.get_schedule_handle(RECOVERY_SCHEDULE).describe(rpc_timeout=RPC_LIMIT)
        except UnknownToTemporal:
            return None
        recent = sorted(found.info.recent_actions, key=lambda each: each.started_at, reverse=True)
        return RecoverySchedule(
            is_paused=found.schedule.state.paused,
            last_sweep_at=recent[0].started_at if recent else None,
            note=found.schedule.state.note,
            next_sweep_at=min(found.info.next_action_times, default=None),
            runs=tuple(
                SweepRun(each.action.workflow_id, each.action.first_execution_run_id)
                for each in recent
                if isinstance(each.action, ScheduleActionExecutionStartWorkflow)
            ),
        )

    async def recovery_sweep(self, run: SweepRun) -> RecoverySweep | None:
        """One run of recovery with what it did; None where Temporal keeps it no more. Raises `TemporalUnavailable`."""
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id, result_type=Sweep)
        try:
            async with unavailable_on_failure():
                found = await handle.describe(rpc_timeout=RPC_LIMIT)
                is_done = found.status is WorkflowExecutionStatus.COMPLETED
                result = await handle.result(follow_runs=False, rpc_timeout=RPC_LIMIT) if is_done else None
        except UnknownToTemporal:
            return None
        name = found.status.name.lower() if found.status else ""
        status = SweepStatus(name) if name in set(SweepStatus) else SweepStatus.UNKNOWN
        return RecoverySweep(run.workflow_id, found.start_time, status, result)

    async def pending_step(self, transfer: Transfer) -> PendingStep | None:
        """What the workflow that drives the transfer waits for; None: none runs. Raises `TemporalUnavailable`."""
        for workflow_id in _drivers_of(transfer):
            try:
                async with unavailable_on_failure():
                    found = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_LIMIT)
            except UnknownToTemporal:
                continue
            if found.status is WorkflowExecutionStatus.RUNNING:
                return pending_step_of(found)
        return None

    async def nudge_review(self, transfer: Transfer) -> None:
        """Have the workflow that drives the transfer read its review's rows again.

        Does nothing if none runs or Temporal is away: a workflow in review also reads them at an interval.
        """
        for workflow_id in _drivers_of(transfer):
            try:
                async with asyncio.timeout(NUDGE_SECONDS):
                    handle = self._client.get_workflow_handle(workflow_id)
                    await handle.signal(TransferWorkflow.review_changed, rpc_timeout=RPC_LIMIT)
            except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
                if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                    continue
                log.info("the workflow was not nudged", workflow_id=workflow_id, error=str(error))
            return

    def nudge_reviews(self, transfers: Sequence[Transfer]) -> None:
        """The same for many, in the background: nobody waits for it, and it ends with the process."""
        turns = asyncio.Semaphore(NUDGES_AT_ONCE)

        async def nudge(transfer: Transfer) -> None:
            async with turns:
                await self.nudge_review(transfer)

        for transfer in transfers:
            self._in_background(nudge(transfer))

    async def started(self, workflow_id: str) -> StartedOrder | None:
        """The order that a workflow was started with; None where Temporal knows no workflow with this ID."""
        try:
            async with unavailable_on_failure():
                description = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_LIMIT)
        except UnknownToTemporal:
            return None
        fingerprint: str | None = await description.memo_value(FINGERPRINT, default=None, type_hint=str)
        amount_minor: int | None = await description.memo_value(AMOUNT_MINOR, default=None, type_hint=int)
        return StartedOrder(fingerprint, description.status is WorkflowExecutionStatus.RUNNING, amount_minor)

    @property
    def _flagged(self) -> str:
        """The list filter: of this service alone, where others share the namespace."""
        queue = self.task_queue.replace("'", "''")
        return f"{NEEDS_ATTENTION.name}=true AND ExecutionStatus='Running' AND TaskQueue='{queue}'"


def _memo(order: TransferOrder) -> dict[str, object]:
    return {FINGERPRINT: order.fingerprint} | ({AMOUNT_MINOR: order.amount_minor} if order.all_that_is_left else {})


def pending_step_of(found: WorkflowExecutionDescription) -> PendingStep:
    """The step that this running workflow waits for, and why it has no answer."""
    for pending in found.raw_description.pending_activities:
        failure = pending.last_failure
        if failure.message == TOO_LONG:
            failure = failure.cause
        return PendingStep(
            found.id,
            pending.activity_type.name,
            pending.attempt,
            failure.message or None,
            _moment(pending.last_started_time),
            _moment(pending.next_attempt_schedule_time),
            pending.paused,
        )
    return PendingStep(found.id)


def _moment(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(UTC) if stamp.seconds else None


def _drivers_of(transfer: Transfer) -> tuple[str, str]:
    """The workflows that may drive it: its own, and if that was lost the one that recovery started."""
    return transfer.workflow_id, Stranded(transfer.order, transfer.state).recovery_id
