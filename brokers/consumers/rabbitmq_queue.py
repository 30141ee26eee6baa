"""A consumer of RabbitMQ: each event has its effect once, and what cannot have it makes way for the others.

The consumer hands what it has tried too often to a second queue, with a confirm, and Remit collects it from there as a
dead letter. The queue counts deliveries as well, also those that end with the death of the consumer, and hands over
what kills its consumers.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage, AbstractQueue

from brokers.close import closed_soon
from brokers.consumers.envelope_reader import NoEvent, event_in
from brokers.consumers.postgres import Effect, apply_when_possible
from brokers.rabbitmq import EXCHANGE, UNAVAILABLE, open_channel

if TYPE_CHECKING:
    from brokers.consumers.postgres import Pool

log = structlog.get_logger()

DEAD_LETTER_EXCHANGE = "wallet.events.dlx"

# One at a time: when a consumer dies, the queue counts a delivery of every message that it had handed out, and those
# behind a message that kills its consumers would be left over with it.
PREFETCH = 1

# Headers of what is handed over.
REASON, TRIES = "x-reason", "x-tries"

RECONNECT_SECONDS = 1
FIRST_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class QueueNames:
    """A queue with what it gets, how often it tries, and the queue for what is left over."""

    queue: str = "wallet.events.worker"
    binding: str = "#"
    tries: int = 5

    @property
    def dead(self) -> str:
        """Where messages go that were delivered too often."""
        return f"{self.queue}.dlq"


async def declare_dead_letter_queue(channel: AbstractChannel, names: QueueNames) -> AbstractQueue:
    """Declare the exchange and the queue for what is left over. Safe to repeat."""
    exchange = await channel.declare_exchange(DEAD_LETTER_EXCHANGE, aio_pika.ExchangeType.DIRECT, durable=True)
    dead = await channel.declare_queue(names.dead, durable=True, arguments={"x-queue-type": "quorum"})
    await dead.bind(exchange, names.queue)
    return dead


async def declare_queue(channel: AbstractChannel, names: QueueNames) -> AbstractQueue:
    """Declare both queues, and bind the first one to the events. Safe to repeat, and to do before the first event."""
    await declare_dead_letter_queue(channel, names)
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(
        names.queue,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": names.tries,  # one more than the consumer itself takes
            "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
            "x-dead-letter-routing-key": names.queue,
            # A message leaves this queue when the other one has it. That needs a queue that refuses when it is full.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            # One consumer at a time, so events keep their order; when it ends, the next one takes over.
            "x-single-active-consumer": True,
        },
    )
    await queue.bind(exchange, names.binding)
    return queue


class QueueConsumer:
    """Runs one effect for every event of a queue."""

    def __init__(self, url: str, pool: "Pool", consumer: str, effect: Effect, names: QueueNames | None = None) -> None:
        """`consumer` names the effect: each event has each effect once."""
        self._url = url
        self._pool = pool
        self._consumer = consumer
        self._effect = effect
        self._names = names or QueueNames()
        self._is_lost = False

    async def run(self) -> NoReturn:
        """Consume until the task is cancelled. While the broker or the database is away, it waits."""
        while True:
            try:
                await self._consume()
            except UNAVAILABLE as error:
                if not self._is_lost:
                    log.warning("RabbitMQ does not answer", queue=self._names.queue, error=str(error))
                self._is_lost = True
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _consume(self) -> None:
        opened = await open_channel(self._url)
        try:
            await opened.channel.set_qos(prefetch_count=PREFETCH)
            queue = await declare_queue(opened.channel, self._names)
            leftovers = await opened.channel.get_exchange(DEAD_LETTER_EXCHANGE)
            async with queue.iterator() as messages:
                self._is_lost = False
                async for message in messages:
                    await self._take(message, leftovers)
        finally:
            await closed_soon(opened.connection.close())

    async def _take(self, message: AbstractIncomingMessage, leftovers: AbstractExchange) -> None:
        deliveries = _deliveries(message)
        try:
            event = event_in(message.body)
        except NoEvent as error:
            await self._leave(message, leftovers, f"no event: {error}", 1)
            return
        failure = await apply_when_possible(self._pool, self._consumer, event, self._effect)
        if failure is None:
            await message.ack()
            return
        log.warning(
            "an event had no effect",
            queue=self._names.queue,
            event_id=event["id"],
            deliveries=deliveries,
            error=failure,
        )
        if deliveries >= self._names.tries:
            await self._leave(message, leftovers, f"{failure} (after {deliveries} tries)", deliveries)
            return
        await asyncio.sleep(FIRST_WAIT_SECONDS * 2 ** min(deliveries - 1, 5))
        await message.nack(requeue=True)

    async def _leave(
        self, message: AbstractIncomingMessage, leftovers: AbstractExchange, reason: str, tries: int
    ) -> None:
        """Hand it over, and take it from the queue once that is confirmed. A crash may hand it over twice."""
        copy = aio_pika.Message(
            message.body,
            headers={REASON: reason[:500], TRIES: tries},
            content_type=message.content_type,
            message_id=message.message_id,
            type=message.type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await leftovers.publish(copy, self._names.queue, mandatory=True)
        await message.ack()


def _deliveries(message: AbstractIncomingMessage) -> int:
    """How often the queue has delivered it, this time included."""
    return int(str(message.headers.get("x-delivery-count", 0))) + 1
