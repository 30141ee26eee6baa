"""Schedules of Temporal that start a sweep again and again: registered by deployments, and kept as people set them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.schedule.v1 import Schedule as ScheduleProto
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest, UpdateScheduleRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from workflows import policies
from workflows.recovery import RecoveryWorkflow
from workflows.sweeps.monthly_statements import StatementSweepWorkflow
from workflows.sweeps.standing_orders import StandingOrderSweepWorkflow

RECOVERY_SCHEDULE = "recovery"
STANDING_ORDERS_SCHEDULE = "standing-orders"
STATEMENTS_SCHEDULE = "statements"

# An update is done within milliseconds, except while Temporal starts a sweep.
UPDATED_WITHIN = timedelta(milliseconds=100)
MOST_UPDATES = 100


@dataclass(frozen=True, slots=True)
class SweepSchedule:
    """A sweep that Temporal starts at this interval: `id` is the schedule's and that of its workflows.

    A run that takes longer than `run_timeout` is replaced.
    """

    id: str
    run: Callable[..., Awaitable[Any]]
    every: timedelta
    summary: str
    run_timeout: timedelta = policies.SWEEP_RUN


def recovery_sweep(every: timedelta, run_timeout: timedelta = policies.SWEEP_RUN) -> SweepSchedule:
    """Recovery's."""
    summary = "Finish transfers that lost their workflow"
    return SweepSchedule(RECOVERY_SCHEDULE, RecoveryWorkflow.run, every, summary, run_timeout)


def standing_order_sweep(every: timedelta) -> SweepSchedule:
    """That of standing orders."""
    return SweepSchedule(STANDING_ORDERS_SCHEDULE, StandingOrderSweepWorkflow.run, every, "Pay what is due")


def statement_sweep(every: timedelta) -> SweepSchedule:
    """That of monthly statements. The first run of a month may take long."""
    summary = "Make the statements of the last month"
    return SweepSchedule(STATEMENTS_SCHEDULE, StatementSweepWorkflow.run, every, summary, policies.STATEMENT_SWEEP_RUN)


async def schedule_sweep(client: Client, task_queue: str, sweep: SweepSchedule) -> None:
    """Register this schedule. One that exists gets the new settings, and stays paused if an operator has paused it."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            sweep.run,
            id=sweep.id,
            task_queue=task_queue,
            run_timeout=sweep.run_timeout,
            static_summary=sweep.summary,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=sweep.every)]),
        # One sweep at a time is enough, and after an outage one sweep makes up for all that were missed.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=sweep.every),
    )
    try:
        await client.create_schedule(sweep.id, schedule)
    except ScheduleAlreadyRunningError:
        await _renew(client, sweep.id, await schedule._to_proto(client))  # noqa: SLF001 - the SDK updates without conflict tokens


async def is_scheduled(client: Client, sweep: SweepSchedule) -> bool:
    """Whether Temporal has this schedule. Raises `RPCError` where it does not say."""
    try:
        await client.get_schedule_handle(sweep.id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _renew(client: Client, schedule_id: str, wanted: ScheduleProto) -> None:
    """Make the schedule what is wanted, and leave its state to people: whether it is paused, and why.

    An update replaces the state, too. A pause may come after the state was read, and while Temporal starts a sweep, it
    tells the state from before a pause. So each update names the version that it was made of. Temporal drops it,
    silently, if another change came first; then it is made again. Raises `RPCError`, and `RuntimeError` if that never
    succeeds.
    """
    service = client.workflow_service
    for _ in range(MOST_UPDATES):
        found = await service.describe_schedule(
            DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id)
        )
        if _choices(found.schedule) == _choices(wanted):
            return
        wanted.state.CopyFrom(found.schedule.state)
        await service.update_schedule(
            UpdateScheduleRequest(
                namespace=client.namespace,
                schedule_id=schedule_id,
                schedule=wanted,
                conflict_token=found.conflict_token,
                identity=client.identity,
                request_id=found.conflict_token.hex(),
            )
        )
        await asyncio.sleep(UPDATED_WITHIN.total_seconds())
    raise RuntimeError(f"the schedule `{schedule_id}` does not take its new settings: run the command again")


def _choices(schedule: ScheduleProto) -> tuple[object, ...]:
    """What settings and versions of Remit decide about the schedule. Temporal lengthens a short window to catch up."""
    started = schedule.action.start_workflow
    return (
        [(each.interval.ToTimedelta(), each.phase.ToTimedelta()) for each in schedule.spec.interval],
        started.workflow_type.name,
        started.task_queue.name,
        started.workflow_run_timeout.ToTimedelta(),
        schedule.policies.overlap_policy,
    )
