"""Prepares a Temporal namespace for Remit's workflows. Run by `remit migrate` and by each process, not by workflows."""

from collections.abc import Sequence

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.search_attributes import SEARCH_ATTRIBUTES
from workflows.sweeps.schedules import SweepSchedule, is_scheduled, schedule_sweep


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


async def register(client: Client, task_queue: str, sweeps: Sequence[SweepSchedule]) -> None:
    """Register all of it. What exists gets the new settings. Raises `RPCError`, and `RuntimeError`."""
    await register_search_attributes(client)
    for sweep in sweeps:
        await schedule_sweep(client, task_queue, sweep)


async def register_missing(client: Client, task_queue: str, sweeps: Sequence[SweepSchedule]) -> list[str]:
    """Register what the namespace lacks, and name it: Temporal may have come back empty. What is there stays as it is.

    Raises `RPCError` where Temporal does not answer, or lets this client neither read nor register.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(request)).custom_attributes
    lacked = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known]
    if lacked:
        await register_search_attributes(client)
    for sweep in sweeps:
        if not await is_scheduled(client, sweep):
            lacked.append(f"schedule {sweep.id}")
            await schedule_sweep(client, task_queue, sweep)
    return lacked
