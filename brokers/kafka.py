"""Hands every event to Kafka: one topic, keyed by the event's partition key, so each account's events stay in order."""

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from brokers.close import closed_soon
from events.envelope import envelope_of
from events.event import Event
from events.sink import Rejected, SinkUnavailable

TOPIC = "remit.events"

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
HEADERS = [("content-type", CONTENT_TYPE.encode())]

REQUEST_MILLISECONDS = 4_000

# The topic and the broker may allow less: what they refuse becomes a dead letter, too.
MOST_BYTES = 1_000_000

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """`kafka://user:password@host:9092,host2:9092`, or `kafkas://…` with TLS."""

    url: str

    @property
    def options(self) -> dict[str, Any]:
        """How producers and consumers connect. With a user they sign in by SCRAM-SHA-512."""
        parts = urlsplit(self.url)
        login, _, servers = parts.netloc.rpartition("@")
        is_encrypted = parts.scheme == "kafkas"
        options: dict[str, Any] = {
            "bootstrap_servers": servers.split(","),
            "client_id": "remit",
            "request_timeout_ms": REQUEST_MILLISECONDS,
            "security_protocol": ("SASL_" if login else "") + ("SSL" if is_encrypted else "PLAINTEXT"),
        }
        if is_encrypted:
            options["ssl_context"] = ssl.create_default_context()
        if login:
            user, _, password = login.partition(":")
            options |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": unquote(user),
                "sasl_plain_password": unquote(password),
            }
        return options


class KafkaSink:
    """A publisher. An event is confirmed when all replicas in sync have it, and written once for each call."""

    name = "kafka"

    def __init__(self, address: KafkaAddress, topic: str = TOPIC) -> None:
        self._address = address
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """All at once; if the broker refuses a part as too large, once more one by one, to find which."""
        try:
            try:
                await self._send_all(events)
            except _TOO_LARGE:
                return await self._send_each(events)
        except KafkaError as error:
            await self.aclose()
            raise SinkUnavailable(f"Kafka did not confirm: {type(error).__name__}: {error}") from error
        except BaseException:
            await self.aclose()
            raise
        return []

    async def aclose(self) -> None:
        """Let go of the connection; the next call makes another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await closed_soon(producer.stop())

    async def _send_all(self, events: Sequence[Event]) -> None:
        producer = await self._connected()
        # In their order: a producer sends one batch of a partition at a time.
        sent = [await self._send(producer, event) for event in events]
        for confirmed in sent:
            await confirmed

    async def _send_each(self, events: Sequence[Event]) -> list[Rejected]:
        rejected = []
        for event in events:
            # After a refusal the broker waits for a number that never comes: a new producer begins with new numbers.
            try:
                await (await self._send(await self._connected(), event))
            except _TOO_LARGE as error:
                await self.aclose()
                rejected.append(Rejected(event, f"too large for Kafka: {' '.join(str(error).split())}"))
        return rejected

    async def _send(self, producer: AIOKafkaProducer, event: Event) -> Any:
        message = json.dumps(envelope_of(event), separators=(",", ":")).encode()
        return await producer.send(self._topic, message, key=event.partition_key.encode(), headers=HEADERS)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._address.options, acks="all", enable_idempotence=True, max_request_size=MOST_BYTES
            )
            try:
                await producer.start()
            except BaseException:
                await closed_soon(producer.stop())
                raise
            self._producer = producer
        return self._producer
