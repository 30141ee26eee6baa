"""One webhook endpoint: sends what is due to it, and waits until there is more.

The rows say what is due. This workflow may be terminated, reset or started again at any time: it reads them and
continues from there. It knows ids and numbers only, so its history holds no URL, no secret and no event.
"""

from datetime import timedelta

from temporalio import workflow

from ledger.ids import EndpointId
from webhooks.endpoint import Drained
from workflows import policies, steps


@workflow.defn
class WebhookEndpointWorkflow:
    """Runs as long as its endpoint exists. It continues as new, so that its history stays short."""

    @workflow.init
    def __init__(self, endpoint_id: EndpointId, steps_at_once: int = policies.DELIVERY_STEPS) -> None:
        self._id = endpoint_id
        self._steps_at_once = steps_at_once
        self._news = False

    @workflow.run
    async def run(
        self,
        endpoint_id: EndpointId,  # noqa: ARG002 - the constructor has taken them
        steps_at_once: int = policies.DELIVERY_STEPS,  # noqa: ARG002
    ) -> None:
        """Deliver until the endpoint is deleted."""
        workflow.set_current_details("Sends what is due, and waits for the next event.")
        for _ in range(self._steps_at_once):
            self._news = False
            drained: Drained = await workflow.execute_activity(
                steps.deliver_events,
                self._id,
                task_queue=workflow.info().task_queue + policies.DELIVERY_QUEUE_SUFFIX,
                start_to_close_timeout=policies.DELIVERY_ATTEMPT,
                heartbeat_timeout=policies.DELIVERY_HEARTBEAT,
                retry_policy=policies.UNTIL_ANSWERED,
                summary="Send what is due",
            )
            self._describe(drained)
            if drained.deleted:
                return
            if not drained.more:
                await self._news_within(drained.wait_milliseconds)
        # What was signalled meanwhile needs no other trace: the next run begins with a look at the rows.
        workflow.continue_as_new(args=[self._id, self._steps_at_once])

    @workflow.signal(description="There is something to send, or the endpoint was changed: read its rows.")
    def look_again(self) -> None:
        """A worker sends this when something comes to an idle endpoint. If it is lost, recovery sends another one."""
        self._news = True

    async def _news_within(self, milliseconds: int | None) -> None:
        """Wait for a signal, or until the next attempt; without any known one, for a signal alone."""
        try:
            await workflow.wait_condition(
                lambda: self._news,
                timeout=timedelta(milliseconds=milliseconds) if milliseconds is not None else None,
                timeout_summary="Next attempt",
            )
        except TimeoutError:
            return

    def _describe(self, drained: Drained) -> None:
        last = f" The last step delivered {drained.delivered} and failed with {drained.failed}."
        until = ""
        if drained.wait_milliseconds:
            moment = workflow.now() + timedelta(milliseconds=drained.wait_milliseconds)
            until = f" Next attempt at {moment:%Y-%m-%d %H:%M:%S} UTC."
        workflow.set_current_details(
            f"{drained.waits_for}{until}{last} `GET /v1/webhook-endpoints/{self._id}/deliveries` lists the attempts."
        )
