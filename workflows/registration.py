"""Prepares a Temporal namespace for Remit's workflows. Run by `remit migrate` and by each process, not by workflows."""

import asyncio
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
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
from workflows.search_attributes import SEARCH_ATTRIBUTES

RECOVERY_SCHEDULE = "recovery"

# An update is done within milliseconds, except while Temporal starts a sweep.
UPDATED_WITHIN = timedelta(milliseconds=100)
MOST_UPDATES = 100


async def register_search_attributes(client: Client) -> None:
    """Register the search attributes in the client's namespace. Those that exist already stay as they are."""
    for key in SEARCH_ATTRIBUTES:
        request = AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={key.name: IndexedValueType.ValueType(key.indexed_value_type)},
        )
        try:
            await client.operator_service.add_search_attributes(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise


async def schedule_recovery(
    client: Client, task_queue: str, every: timedelta, run_timeout: timedelta = policies.SWEEP_RUN
) -> None:
    """Schedule a sweep of recovery at this interval. One that runs for longer than `run_timeout` is replaced.

    Updates an existing schedule, and leaves it paused if an operator has paused it.
    """
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            RecoveryWorkflow.run,
            id=RECOVERY_SCHEDULE,
            task_queue=task_queue,
            run_timeout=run_timeout,
            static_summary="Finish transfers that lost their workflow",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # One sweep at a time is enough, and after an outage one sweep makes up for all that were missed.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    try:
        await client.create_schedule(RECOVERY_SCHEDULE, schedule)
    except ScheduleAlreadyRunningError:
        await _renew(client, await schedule._to_proto(client))  # noqa: SLF001 - the SDK updates without conflict tokens


async def _renew(client: Client, wanted: ScheduleProto) -> None:
    """Make the schedule of recovery what is wanted, and leave its state to people: whether it is paused, and why.

    An update replaces the state, too. A pause may come after the state was read, and while Temporal starts a sweep, it
    tells the state from before a pause. So each update names the version that it was made of. Temporal drops it,
    silently, if another change came first; then it is made again. Raises `RPCError`, and `RuntimeError` if that never
    succeeds.
    """
    service, schedule_id = client.workflow_service, RECOVERY_SCHEDULE
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


async def register_missing(client: Client, task_queue: str, every: timedelta) -> list[str]:
    """Register what the namespace lacks, and name it: Temporal may have come back empty. What is there stays as it is.

    Raises `RPCError` where Temporal does not answer, or lets this client neither read nor register.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(request)).custom_attributes
    lacked = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known]
    if lacked:
        await register_search_attributes(client)
    try:
        await client.get_schedule_handle(RECOVERY_SCHEDULE).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        lacked.append(f"schedule {RECOVERY_SCHEDULE}")
        await schedule_recovery(client, task_queue, every)
    return lacked
