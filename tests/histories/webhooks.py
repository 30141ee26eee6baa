"""Paths of a webhook endpoint's workflow: delivering and waiting, continuing as new, and ending with its endpoint."""

import secrets
from datetime import timedelta

from pydantic import SecretStr
from temporalio.worker import Worker

from activities.webhooks.wakes import Wakes
from event_tasks import build_delivery_worker
from ledger.ids import EndpointId
from ledger.workflow_ids import webhook_workflow_id
from tests.histories.stage import RecordedAction, Stage, path
from tests.orders import ENCRYPTION_KEY
from tests.waiting import until
from tests.webhooks.receiver import Receiver
from tests.webhooks.scene import Scene
from webhooks.endpoint import WebhookEndpoint
from workflows.recovery import RecoveryWorkflow
from workflows.webhooks.webhook_endpoint import WebhookEndpointWorkflow

SENDING = {
    "sandbox_rails": True,
    "encryption_keys": SecretStr(ENCRYPTION_KEY),
    "webhook_allow": "127.0.0.1",
    "recovery_grace_seconds": 0,
}


async def started(stage: Stage, endpoint_id: EndpointId, steps_at_once: int) -> RecordedAction:
    return await stage.saga.client.start_workflow(
        WebhookEndpointWorkflow.run,
        args=[endpoint_id, steps_at_once],
        id=webhook_workflow_id(endpoint_id),
        task_queue=stage.saga.settings.task_queue,
        task_timeout=timedelta(seconds=3),
    )


def delivery(stage: Stage, scene: Scene) -> Worker:
    return build_delivery_worker(
        stage.saga.client, stage.saga.settings, scene.outgoing, Wakes(scene.outgoing, timedelta(seconds=3))
    )


async def delivered(scene: Scene, endpoint: WebhookEndpoint, count: int) -> None:
    async def are_there() -> bool:
        return [one.state.value for one in await scene.deliveries(endpoint)].count("delivered") == count

    await until(are_there, f"{count} deliveries")


@path(**SENDING)
async def webhook_endpoint_woken_and_deleted(stage: Stage) -> RecordedAction:
    scene = Scene(stage.saga.book.database)
    async with Receiver.running() as receiver, delivery(stage, scene):
        endpoint = await scene.made(receiver.url)
        receiver.answers = [(500, {}, b"")]
        await scene.emit("acc_1", "acc_2")
        handle = await started(stage, endpoint.id, 100)
        await delivered(scene, endpoint, 2)
        await scene.endpoints.delete(None, endpoint.id)
        await handle.signal(WebhookEndpointWorkflow.look_again)
        await handle.result()
    return handle


@path(**SENDING)
async def webhook_endpoint_continued_as_new(stage: Stage) -> RecordedAction:
    scene = Scene(stage.saga.book.database)
    async with Receiver.running() as receiver, delivery(stage, scene):
        endpoint = await scene.made(receiver.url)
        await scene.emit("acc_1")
        first = await started(stage, endpoint.id, 1)
        await delivered(scene, endpoint, 1)
        await stage.saga.client.get_workflow_handle(first.id).signal(WebhookEndpointWorkflow.look_again)
        assert first.first_execution_run_id is not None
        run = stage.saga.client.get_workflow_handle(first.id, run_id=first.first_execution_run_id)

        async def continued() -> bool:
            return (await first.describe()).run_id != first.first_execution_run_id

        await until(continued, "the workflow continued as new")
        await scene.endpoints.delete(None, endpoint.id)
        await stage.saga.client.get_workflow_handle(first.id).signal(WebhookEndpointWorkflow.look_again)
        await stage.saga.client.get_workflow_handle(first.id).result()
    return run


@path(**SENDING)
async def recovery_woke_a_webhook_endpoint(stage: Stage) -> RecordedAction:
    scene = Scene(stage.saga.book.database)
    async with Receiver.running() as receiver, delivery(stage, scene):
        endpoint = await scene.made(receiver.url)
        await scene.emit("acc_1")
        handle = await stage.saga.client.start_workflow(
            RecoveryWorkflow.run, id=f"sweep-{secrets.token_hex(6)}", task_queue=stage.saga.settings.task_queue
        )
        sweep = await handle.result()
        assert sweep.endpoints == [endpoint.id]
        await delivered(scene, endpoint, 1)
        await scene.endpoints.delete(None, endpoint.id)
        running = stage.saga.client.get_workflow_handle(webhook_workflow_id(endpoint.id))
        await running.signal(WebhookEndpointWorkflow.look_again)
        await running.result()
    return handle
