"""Prepares a Temporal namespace for Remit's workflows. Run by `remit migrate`, not by workflows."""

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client

from workflows.visibility import SEARCH_ATTRIBUTES


async def register_search_attributes(client: Client) -> None:
    """Make the attributes known to the client's namespace. Those that are there already stay as they are."""
    operator = client.operator_service
    known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {
        key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES if key.name not in known.custom_attributes
    }
    if missing:
        await operator.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
