"""Wakes the workflows of webhook endpoints that have something to do.

Rows say who has. So a wake that is lost delays an event and loses none: each worker looks again and again, and
recovery's sweep looks at those that nobody seems to work on.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import NoReturn

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from database.connections import Unavailable
from ledger.ids import EndpointId
from ledger.workflow_ids import webhook_workflow_id
from webhooks.postgres.outbound import OutgoingEvents

log = structlog.get_logger()

# Activities know no workflow, so this is its name. A test compares.
WORKFLOW = "WebhookEndpointWorkflow"
SIGNAL = "look_again"

# How often a worker looks.
POLL_MILLISECONDS = 250

AT_ONCE = 20
RPC_LIMIT = timedelta(seconds=5)
AFTER_FAILURE_SECONDS = 1


async def wake_workflow(client: Client, task_queue: str, endpoint_id: EndpointId, task_timeout: timedelta) -> None:
    """Signal the endpoint's workflow, and start it where none runs. Raises `RPCError`."""
    with suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            WORKFLOW,
            endpoint_id,
            id=webhook_workflow_id(endpoint_id),
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=SIGNAL,
            task_timeout=task_timeout,
            static_summary=f"Deliveries to {endpoint_id}",
            rpc_timeout=RPC_LIMIT,
        )


class Wakes:
    """One for each worker process. The fan-out pokes it; steps that have just emptied their queues listen to it."""

    def __init__(self, outgoing: OutgoingEvents, task_timeout: timedelta) -> None:
        self._outgoing = outgoing
        self._task_timeout = task_timeout
        self._poked = asyncio.Event()
        self._listening: dict[EndpointId, asyncio.Event] = {}

    def poke(self) -> None:
        """There is something: look at once."""
        self._poked.set()

    @property
    def listeners(self) -> int:
        """How many endpoints somebody in this process listens for."""
        return len(self._listening)

    @contextmanager
    def listening(self, endpoint_id: EndpointId) -> Iterator[asyncio.Event]:
        """An event that is set when this endpoint has something due, while the block lasts."""
        news = self._listening[endpoint_id] = asyncio.Event()
        try:
            yield news
        finally:
            if self._listening.get(endpoint_id) is news:
                del self._listening[endpoint_id]

    async def keep_waking(self, client: Client, task_queue: str) -> NoReturn:
        """Look for ever. While PostgreSQL or Temporal does not answer nobody is woken, and nothing ends."""
        is_lost = False
        while True:
            try:
                self._poked.clear()
                await self._poll(client, task_queue)
            except (Unavailable, RPCError, RuntimeError, TimeoutError) as error:
                if not is_lost:
                    log.warning("no webhook endpoint is woken", error=" ".join(str(error).split()))
                is_lost = True
                await asyncio.sleep(AFTER_FAILURE_SECONDS)
                continue
            if is_lost:
                log.info("webhook endpoints are woken again")
                is_lost = False
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_MILLISECONDS / 1000):
                    await self._poked.wait()

    async def _poll(self, client: Client, task_queue: str) -> None:
        if listening := list(self._listening):
            for endpoint_id in await self._outgoing.with_news(listening):
                if news := self._listening.get(endpoint_id):
                    news.set()
        woken = await self._outgoing.wake()
        if not woken:
            return
        turns = asyncio.Semaphore(AT_ONCE)

        async def wake(endpoint_id: EndpointId) -> None:
            async with turns:
                await wake_workflow(client, task_queue, endpoint_id, self._task_timeout)

        results = await asyncio.gather(*(wake(each) for each in woken), return_exceptions=True)
        await self._not_woken(woken, results)

    async def _not_woken(self, woken: Sequence[EndpointId], results: Sequence[BaseException | None]) -> None:
        failed = [one for one, result in zip(woken, results, strict=True) if result is not None]
        if failed:
            await self._outgoing.not_woken(failed)
            raise next(result for result in results if result is not None)
