"""Sends what is due to one endpoint: the events of one account in their order, several accounts at once."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import structlog

from ledger.ids import CustomerId
from webhooks.attempt import NEVER_AGAIN, DeliveryRuling, WebhookAnswer, rule_on
from webhooks.endpoint import DeliveryState, Drained, EndpointState, Health, WebhookEndpoint, waits_for
from webhooks.http_client import AT_ONCE, WebhookConnections, WebhookSender
from webhooks.payload import Payload, payload_of
from webhooks.postgres.attempt_records import Attempted, PendingDelivery
from webhooks.postgres.outbound import AccountQueue, OpenEndpoint, OutgoingEvents
from webhooks.signature import signed_headers

log = structlog.get_logger()

# A step goes on for so long while there is something to send, and listens for so long behind the last of it: then the
# next event needs no workflow, which costs Temporal fifty times as much.
LONGEST_SECONDS = 60
LISTEN_SECONDS = 15

# Between the events of one account the endpoint is looked at again, at most so often.
CHECK_MILLISECONDS = 100

# What was sent is recorded after so long at the latest: a crash sends once more what was not.
RECORD_SECONDS = 1

_HEADERS = {"content-type": "application/cloudevents+json; charset=utf-8", "user-agent": "Remit-Webhooks/1"}

_LOST = "The event is older than what is kept."

_MILLISECOND = timedelta(milliseconds=1)


class Drain:
    """One step for one endpoint. `stopping` says whether the process is about to stop."""

    def __init__(
        self,
        outgoing: OutgoingEvents,
        sender: WebhookSender,
        news: asyncio.Event,
        stopping: Callable[[], bool],
        *,
        listen_seconds: int = LISTEN_SECONDS,
    ) -> None:
        self._outgoing = outgoing
        self._sender = sender
        self._news = news
        self._stopping = stopping
        self._listen_seconds = listen_seconds
        self._began = monotonic()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._made: list[Attempted] = []
        self._finished: list[str] = []
        self._delivered = self._failed = 0
        self._is_changed = False
        self._checked_at = self._began

    async def run(self, opened: OpenEndpoint) -> Drained:
        """Send until nothing is due any more. What was sent and not recorded is sent once more, by the next step."""
        endpoint = opened.endpoint
        if opened.replays and not opened.held:
            await self._outgoing.replay_next(endpoint.id)
        health = Health.of(endpoint)
        async with self._sender.to(endpoint.url) as connections:
            try:
                health = await self._send_all(opened, connections, health)
            finally:
                for task in self._busy.values():
                    task.cancel()
                await asyncio.gather(*self._busy.values(), return_exceptions=True)
                # Whatever ended the step, also a fault: what was accepted is not to be sent once more.
                health = await self._record(endpoint, health)
        why = waits_for(health, owner_is_disabled=opened.held and endpoint.state is not EndpointState.DISABLED)
        drained = Drained(health.state, self._delivered, self._failed, waits_for=why)
        if (opened.replays and not opened.held) or self._is_over:
            return replace(drained, more=True)
        until = await self._outgoing.go_idle(endpoint.id, health, held=opened.held)
        if until is None:
            return drained
        return replace(drained, wait_milliseconds=max((until - self._now(opened)) // _MILLISECOND, 0))

    def _now(self, opened: OpenEndpoint) -> datetime:
        """PostgreSQL's time: by it the rows say what is due."""
        return opened.now + timedelta(seconds=monotonic() - self._began)

    @property
    def _is_over(self) -> bool:
        return self._is_changed or self._stopping() or monotonic() >= self._began + LONGEST_SECONDS

    async def _send_all(self, opened: OpenEndpoint, connections: WebhookConnections, health: Health) -> Health:
        endpoint = opened.endpoint
        idle_since: Any = None
        while True:
            self._news.clear()
            # Whoever changes the URL, rotates the secret or disables the endpoint is heard before the next event.
            await self._check(opened)
            room = 0 if self._is_over or opened.held else _room(health, self._now(opened)) - len(self._busy)
            queues = await self._outgoing.due(endpoint.id, list(self._busy), room) if room > 0 else []
            for queue in queues:
                self._busy[queue.partition_key] = asyncio.create_task(self._send_queue(opened, queue, connections))
            if self._busy:
                idle_since = None
                await self._progress(more_wanted=room > len(queues))
                health = await self._record(endpoint, health)
                continue
            is_quiet = health.state is not EndpointState.ENABLED or _rests(health, self._now(opened))
            if self._is_over or opened.held or is_quiet:
                return health
            idle_since = idle_since or monotonic()
            left = idle_since + self._listen_seconds - monotonic()
            if left <= 0:
                return health
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return health

    async def _check(self, opened: OpenEndpoint) -> None:
        """See whether the endpoint was changed: then this step ends, and the next one follows the change."""
        self._checked_at = monotonic()
        if not self._is_over and not await self._outgoing.is_unchanged(opened):
            self._is_changed = True

    async def _progress(self, *, more_wanted: bool) -> None:
        """Wait until a queue is done, or there is room and news; not for long: what was sent is to be recorded."""
        waiting: set[asyncio.Task[Any]] = set(self._busy.values())
        news = asyncio.create_task(self._news.wait()) if more_wanted else None
        if news is not None:
            waiting.add(news)
        try:
            await asyncio.wait(waiting, timeout=RECORD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if news is not None:
                news.cancel()
        for task in self._busy.values():
            if task.done():
                task.result()

    async def _record(self, endpoint: WebhookEndpoint, health: Health) -> Health:
        """Record what was made until now. The queues that are done may be read again afterwards."""
        made, finished = list(self._made), list(self._finished)
        if made or finished:
            health = await self._outgoing.record(endpoint.id, made, finished)
            del self._made[: len(made)], self._finished[: len(finished)]
        for key in finished:
            self._busy.pop(key, None)
        return health

    async def _send_queue(self, opened: OpenEndpoint, queue: AccountQueue, connections: WebhookConnections) -> None:
        """Send the events of one account, one after the other, until one is not accepted."""
        for delivery in queue.deliveries:
            if (monotonic() - self._checked_at) * 1000 >= CHECK_MILLISECONDS:
                await self._check(opened)
            if self._is_over:
                break
            attempted = await self._sent(opened, queue.partition_key, delivery, connections)
            self._made.append(attempted)
            if attempted.answer.accepted:
                self._delivered += 1
            else:
                self._failed += 1
            if attempted.ruling.state is DeliveryState.PENDING:
                break
        self._finished.append(queue.partition_key)

    async def _sent(
        self, opened: OpenEndpoint, key: str, delivery: PendingDelivery, connections: WebhookConnections
    ) -> Attempted:
        try:
            payload = _payload(delivery, opened.endpoint.owner_id)
            if payload is None:
                answer = WebhookAnswer(opened.now, 0, error=_LOST)
                ruling = rule_on(answer, NEVER_AGAIN, 0, is_test=delivery.is_test)
                return Attempted(key, delivery, answer, ruling, _named(delivery), unsent=True)
            text = payload.text
            headers = signed_headers(delivery.event_id, text, datetime.now(UTC), opened.keys) | _HEADERS
            answer = await connections.post(headers, text)
            body = payload.body
        except Exception:
            # A fault of ours. It may hold up the events of this account, and no others.
            log.exception("a webhook could not be sent", endpoint_id=opened.endpoint.id, event_id=delivery.event_id)
            answer = WebhookAnswer(datetime.now(UTC), 0, error="It could not be sent.")
            return Attempted(key, delivery, answer, _ruling(answer, delivery), _named(delivery), unsent=True)
        return Attempted(key, delivery, answer, _ruling(answer, delivery), body)


def _ruling(answer: WebhookAnswer, delivery: PendingDelivery) -> DeliveryRuling:
    """What follows. An answer that cannot be made sense of counts without the pause that it asks for."""
    permille = random.randrange(1000)  # noqa: S311 - a jitter
    try:
        return rule_on(answer, delivery.failures, permille, is_test=delivery.is_test)
    except Exception:
        log.exception("the answer to a webhook makes no sense", event_id=delivery.event_id)
        return rule_on(replace(answer, retry_after=None), delivery.failures, permille, is_test=delivery.is_test)


def _named(delivery: PendingDelivery) -> dict[str, Any]:
    return {"id": delivery.event_id, "type": delivery.type}


def _rests(health: Health, now: datetime) -> bool:
    return health.resting_until is not None and health.resting_until > now


def _room(health: Health, now: datetime) -> int:
    """How many queues may be worked on. An endpoint that fails for every account is tried with one of them."""
    if health.state is EndpointState.DISABLED or _rests(health, now):
        return 0
    return 1 if health.state is EndpointState.FAILING else AT_ONCE


def _payload(delivery: PendingDelivery, owner_id: CustomerId | None) -> Payload | None:
    if delivery.body is not None:
        return Payload(delivery.body)
    return payload_of(delivery.event, owner_id) if delivery.event is not None else None
