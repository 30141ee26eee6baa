"""Collects what a consumer of RabbitMQ left over as dead letters, and hands back to its queue what staff replay."""

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import aio_pika
import structlog
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import PublishError

from brokers.close import closed_soon
from brokers.consumers.envelope_reader import NoEvent, event_in
from brokers.consumers.rabbitmq_queue import REASON, TRIES, QueueNames, declare_dead_letter_queue
from brokers.rabbitmq import CONTENT_TYPE, OpenChannel, open_channel
from database.connections import Database
from events.dead_letter import DeadLetter, Undelivered, body_of, line_of, message_of, queue_source
from events.postgres.dead_letters import bury, send_replays

log = structlog.get_logger()

WAIT_SECONDS = 1


class RabbitMqDeadLetters:
    """Every worker may run one: each message is collected, and each replay sent, by one of them."""

    def __init__(self, url: str, database: Database, names: QueueNames | None = None) -> None:
        self._url = url
        self._database = database
        self._names = names or QueueNames()
        self._source = queue_source(self._names.queue)
        self._is_lost = False

    async def run(self) -> NoReturn:
        """Collect and hand back until the task is cancelled. While the broker or PostgreSQL is away, it waits."""
        while True:
            try:
                await self._work()
            except* Exception as errors:  # noqa: BLE001 - nobody awaits this task: it would end unseen
                if not self._is_lost:
                    log.warning("no dead letters are collected", source=self._source, error=repr(errors.exceptions[0]))
                self._is_lost = True
            await asyncio.sleep(WAIT_SECONDS)

    async def _work(self) -> None:
        opened = await open_channel(self._url)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._collect(opened))
                group.create_task(self._hand_back(opened))
        finally:
            await closed_soon(opened.connection.close())

    async def _collect(self, opened: OpenChannel) -> None:
        await opened.channel.set_qos(prefetch_count=1)
        dead = await declare_dead_letter_queue(opened.channel, self._names)
        async with dead.iterator() as messages:
            self._is_lost = False
            async for message in messages:
                await self._keep(message)
                await message.ack()
        raise ConnectionError("the queue of dead letters is no longer read")

    async def _keep(self, message: AbstractIncomingMessage) -> None:
        event_id, type_ = _named(message.body)
        reason, attempts = _history(message, self._names.tries)
        letter = Undelivered(
            source=self._source,
            event_id=event_id,
            type=type_,
            reason=line_of(reason),
            attempts=attempts,
            body=body_of(message.body),
        )
        async with self._database.transaction() as connection:
            await bury(connection, letter)

    async def _hand_back(self, opened: OpenChannel) -> NoReturn:
        while True:
            if not await send_replays(self._database, self._source, lambda letters: self._send(opened, letters)):
                await asyncio.sleep(WAIT_SECONDS)

    async def _send(self, opened: OpenChannel, letters: Sequence[DeadLetter]) -> Sequence[tuple[DeadLetter, str]]:
        refused = []
        for letter in letters:
            message = aio_pika.Message(
                message_of(letter.body),
                content_type=CONTENT_TYPE,
                message_id=letter.event_id,
                type=letter.type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                app_id="remit",
            )
            try:
                # By the default exchange, which knows every queue by its name: no other queue gets it.
                await opened.channel.default_exchange.publish(message, self._names.queue, mandatory=True)
            except PublishError:
                refused.append((letter, f"there is no queue {self._names.queue}"))
        return refused


def _named(message: bytes) -> tuple[str | None, str | None]:
    try:
        event = event_in(message)
    except NoEvent:
        return None, None
    return event["id"], event["type"]


def _history(message: AbstractIncomingMessage, tries: int) -> tuple[str, int]:
    """Why it was given up, and after how many deliveries: as the consumer says, else as RabbitMQ notes it."""
    reason, times = message.headers.get(REASON), message.headers.get(TRIES)
    if isinstance(reason, str) and isinstance(times, int):
        return reason, times
    deaths = message.headers.get("x-death")
    reason = str(deaths[0].get("reason")) if isinstance(deaths, list) and isinstance(deaths[0], dict) else "unknown"
    if reason == "delivery_limit":
        return f"ended its consumer, or its connection, in {tries + 1} deliveries", tries + 1
    return f"left over: {reason}", 1
