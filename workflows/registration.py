"""Prepares a Temporal namespace for Remit's workflows. Run by `remit migrate` and by each process, not by workflows."""

from dataclasses import replace
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from workflows import policies
from workflows.recovery import RecoveryWorkflow
from workflows.search_attributes import SEARCH_ATTRIBUTES

RECOVERY_SCHEDULE = "recovery"


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

        def renewed(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=replace(schedule, state=found.description.schedule.state))

        await client.get_schedule_handle(RECOVERY_SCHEDULE).update(renewed)


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
