"""The steps of webhooks: send what is due to an endpoint, and wake those whose workflow was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client

from activities.recovery import report_progress
from activities.webhooks.drain import LISTEN_SECONDS, Drain
from activities.webhooks.wakes import Wakes, wake_workflow
from ledger.ids import EndpointId
from webhooks.endpoint import Drained, EndpointState
from webhooks.http_client import WebhookSender
from webhooks.postgres.outbound import OutgoingEvents

PULSE_SECONDS = 2

# Steps that may listen at once: more would keep endpoints with something due from their slots.
MOST_LISTENING = 50


class DeliverySteps:
    """Sends to the webhook endpoints of one database. A worker of their own runs these: an endpoint may be slow."""

    def __init__(
        self, outgoing: OutgoingEvents, sender: WebhookSender, wakes: Wakes, *, listen_seconds: int = LISTEN_SECONDS
    ) -> None:
        self._outgoing = outgoing
        self._sender = sender
        self._wakes = wakes
        self._listen_seconds = listen_seconds

    @activity.defn
    async def deliver_events(self, endpoint_id: EndpointId) -> Drained:
        """Send what is due, and for a moment what comes behind it.

        A repeat sends what is not recorded as delivered: at least once, under the same `webhook-id`.
        """
        opened = await self._outgoing.open(endpoint_id)
        if opened is None:
            return Drained(EndpointState.DISABLED, deleted=True, waits_for="Deleted.")
        with self._wakes.listening(endpoint_id) as news:
            seconds = self._listen_seconds if self._wakes.listeners <= MOST_LISTENING else 0
            drain = Drain(self._outgoing, self._sender, news, _is_stopping, listen_seconds=seconds)
            async with _pulse(news):
                return await drain.run(opened)


class WebhookSweepSteps:
    """Finds endpoints whose workflow was lost. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(self, client: Client, outgoing: OutgoingEvents, grace_seconds: int, task_timeout: timedelta) -> None:
        self._client = client
        self._outgoing = outgoing
        self._grace_seconds = grace_seconds
        self._task_timeout = task_timeout

    @activity.defn
    async def wake_webhook_endpoints(self) -> list[EndpointId]:
        """Wake the workflows of endpoints that have had something due for a while, also those that were lost."""
        found = await self._outgoing.left_alone(self._grace_seconds)
        for endpoint_id in found:
            report_progress()
            await wake_workflow(self._client, activity.info().task_queue, endpoint_id, self._task_timeout)
        return found


def _is_stopping() -> bool:
    return activity.in_activity() and activity.is_worker_shutdown()


@asynccontextmanager
async def _pulse(news: asyncio.Event) -> AsyncIterator[None]:
    """Tell Temporal that the worker lives, and end the listening of one that is about to stop."""

    async def beat() -> None:
        while True:
            report_progress()
            await asyncio.sleep(PULSE_SECONDS)

    async def stop() -> None:
        await activity.wait_for_worker_shutdown()
        news.set()

    running = [asyncio.create_task(beat())]
    if activity.in_activity():
        running.append(asyncio.create_task(stop()))
    try:
        yield
    finally:
        for task in running:
            task.cancel()
