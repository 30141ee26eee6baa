"""Prepares a Temporal namespace for Remit's workflows. Run by `remit migrate`, not by workflows."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.visibility import SEARCH_ATTRIBUTES


async def register_search_attributes(client: Client) -> None:
    """Make the attributes known to the client's namespace. Those that are there already stay as they are."""
    for key in SEARCH_ATTRIBUTES:
        request = AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes={key.name: IndexedValueType.ValueType(key.indexed_value_type)}
        )
        try:
            await client.operator_service.add_search_attributes(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
