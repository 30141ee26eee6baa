"""Claims about the SDK's visits to payloads that workers leave out."""

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.bridge import worker as bridge
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

from database.encryption import Encryption
from workflows.codec import EncryptingCodec, converter_with
from workflows.payload_visits import SDK_DECODE, SDK_ENCODE, leave_out_idle_visits
from workflows.payloads import DATA_CONVERTER

TEXT = "700 for the rent"
PAYLOAD = DATA_CONVERTER.payload_converter.to_payload(TEXT)
CODEC = EncryptingCodec(Encryption(["k" * 32]))
ENCRYPTING = converter_with(CODEC)


def activation(payload: Payload = PAYLOAD) -> WorkflowActivation:
    """What begins a task, with payloads in all places that our workflows know."""
    found = WorkflowActivation(run_id="run")
    begun = found.jobs.add().initialize_workflow
    begun.arguments.append(payload)
    begun.memo.fields["fingerprint"].CopyFrom(payload)
    begun.headers["trace"].CopyFrom(payload)
    found.jobs.add().signal_workflow.input.append(payload)
    found.jobs.add().do_update.input.append(payload)
    found.jobs.add().resolve_activity.result.completed.result.CopyFrom(payload)
    refused = found.jobs.add().resolve_activity.result.failed.failure
    refused.application_failure_info.details.payloads.append(payload)
    return found


def completion() -> WorkflowActivationCompletion:
    """What ends a task, likewise."""
    found = WorkflowActivationCompletion(run_id="run")
    commands = found.successful.commands
    commands.add().schedule_local_activity.arguments.append(PAYLOAD)
    commands.add().schedule_activity.arguments.append(PAYLOAD)
    commands[-1].user_metadata.summary.CopyFrom(PAYLOAD)
    commands.add().update_response.completed.CopyFrom(PAYLOAD)
    commands.add().modify_workflow_properties.upserted_memo.fields["state"].CopyFrom(PAYLOAD)
    commands.add().complete_workflow_execution.result.CopyFrom(PAYLOAD)
    return found


async def test_the_visits_of_the_sdk_change_no_payload_without_a_codec() -> None:
    before, after = activation(), completion()
    await SDK_DECODE(before, DATA_CONVERTER, decode_headers=True, storage_concurrency_limit=1)
    await SDK_ENCODE(after, DATA_CONVERTER, encode_headers=True, storage_concurrency_limit=1)
    assert (before, after) == (activation(), completion())


async def test_no_payload_is_visited_without_a_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_idle_visits()
    monkeypatch.setattr(bridge, "CommandAwarePayloadVisitor", None)  # a visit would call it
    before, after = activation(), completion()
    await bridge.decode_activation(before, DATA_CONVERTER, decode_headers=True, storage_concurrency_limit=1)
    await bridge.encode_completion(after, DATA_CONVERTER, encode_headers=True, storage_concurrency_limit=1)
    assert (before, after) == (activation(), completion())


async def test_a_codec_encrypts_and_decrypts_all_payloads_of_a_task() -> None:
    leave_out_idle_visits()
    after = completion()
    await bridge.encode_completion(after, ENCRYPTING, encode_headers=True, storage_concurrency_limit=1)
    assert TEXT.encode() not in after.SerializeToString()
    (encrypted,) = await CODEC.encode([PAYLOAD])
    before = activation(encrypted)
    await bridge.decode_activation(before, ENCRYPTING, decode_headers=True, storage_concurrency_limit=1)
    assert before == activation()
