"""Hands every event to RabbitMQ: a topic exchange, with the event's type as the routing key."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelPreconditionFailed, PublishError

from brokers.close import closed_soon
from events.envelope import envelope_of
from events.event import Event
from events.sink import Rejected, SinkUnavailable

EXCHANGE = "wallet.events"

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"

CONNECT_SECONDS = 4

# What the library raises while the broker is away, or once it has closed the channel.
UNAVAILABLE = (AMQPError, OSError, asyncio.InvalidStateError, RuntimeError)


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A connection with one channel that confirms, and the exchange."""

    connection: AbstractConnection
    channel: AbstractChannel
    exchange: AbstractExchange


async def open_channel(url: str) -> OpenChannel:
    """Connect, and declare the exchange. A message that no queue takes is an error of its publisher."""
    connection = await aio_pika.connect(url, timeout=CONNECT_SECONDS)
    try:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    except BaseException:
        await closed_soon(connection.close())
        raise
    return OpenChannel(connection, channel, exchange)


class RabbitMqSink:
    """A publisher. An event is confirmed when every queue that it was routed to has it on disk."""

    name = "rabbitmq"

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: OpenChannel | None = None

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """All at once, and the confirms in any order. What no queue takes, or is too large, is rejected."""
        try:
            outcomes = await self._publish_all(events)
            if any(isinstance(outcome, ChannelPreconditionFailed) for outcome in outcomes):
                # One message has closed the channel for all that were on it: one by one, to find which.
                await self.aclose()
                outcomes = [await self._publish_one(event) for event in events]
            return [found for found in map(_rejected, events, outcomes) if found is not None]
        except UNAVAILABLE as error:
            await self.aclose()
            raise SinkUnavailable(f"RabbitMQ did not confirm: {type(error).__name__}: {error}") from error
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Let go of the connection; the next call makes another."""
        opened, self._open = self._open, None
        if opened is not None:
            await closed_soon(opened.connection.close())

    async def _publish_all(self, events: Sequence[Event]) -> list[object]:
        opened = await self._connected()
        return await asyncio.gather(*(self._send(opened, event) for event in events), return_exceptions=True)

    async def _publish_one(self, event: Event) -> object:
        (outcome,) = await self._publish_all([event])
        if isinstance(outcome, ChannelPreconditionFailed):
            await self.aclose()
        return outcome

    async def _send(self, opened: OpenChannel, event: Event) -> object:
        return await opened.exchange.publish(message_of(event), event.type, mandatory=True)

    async def _connected(self) -> OpenChannel:
        if self._open is None or self._open.channel.is_closed:
            await self.aclose()
            self._open = await open_channel(self._url)
        return self._open


def _rejected(event: Event, outcome: object) -> Rejected | None:
    """Why the broker will never take it; None: it has taken it. Raises what says that it took nothing."""
    if isinstance(outcome, PublishError):
        return Rejected(event, f"no queue of {EXCHANGE} takes {event.type}")
    if isinstance(outcome, ChannelPreconditionFailed):
        return Rejected(event, f"RabbitMQ refuses it: {' '.join(str(outcome).split())}")
    if isinstance(outcome, BaseException):
        raise outcome
    return None


def message_of(event: Event) -> aio_pika.Message:
    """The event's envelope as a message that survives a restart of the broker."""
    return aio_pika.Message(
        json.dumps(envelope_of(event), separators=(",", ":")).encode(),
        content_type=CONTENT_TYPE,
        message_id=event.event_id,
        type=event.type,
        timestamp=event.occurred_at,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        app_id="remit",
    )
