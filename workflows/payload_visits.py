"""Leaves out the SDK's visits to the payloads of a workflow task where they change nothing.

The SDK visits all payloads three times before each task and three times after it: for a codec, for external storage,
and for references to it. Without a codec and without external storage, these visits were a tenth of the CPU time of a
transfer.
"""

from temporalio.bridge import worker as bridge
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter
from temporalio.converter._extstore import StorageOperationMetrics

# A release of the SDK that does this elsewhere, or does more here, fails at the import or in the tests.
SDK_DECODE = bridge.decode_activation
SDK_ENCODE = bridge.encode_completion


def leave_out_idle_visits() -> None:
    """Do so in this process from now on. A worker whose converter has a codec or a storage makes all visits."""
    bridge.decode_activation = _decode_activation
    bridge.encode_completion = _encode_completion


def _is_idle(converter: DataConverter) -> bool:
    return converter.payload_codec is None and converter.external_storage is None


async def _decode_activation(
    activation: WorkflowActivation,
    data_converter: DataConverter,
    decode_headers: bool,
    storage_concurrency_limit: int,
) -> StorageOperationMetrics:
    if _is_idle(data_converter):
        return StorageOperationMetrics()
    return await SDK_DECODE(activation, data_converter, decode_headers, storage_concurrency_limit)


async def _encode_completion(
    completion: WorkflowActivationCompletion,
    data_converter: DataConverter,
    encode_headers: bool,
    storage_concurrency_limit: int,
) -> StorageOperationMetrics:
    if _is_idle(data_converter):
        return StorageOperationMetrics()
    return await SDK_ENCODE(completion, data_converter, encode_headers, storage_concurrency_limit)
