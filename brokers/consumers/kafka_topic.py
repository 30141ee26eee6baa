"""A consumer of Kafka: each event has its effect once, and what cannot have it makes way for the others.

Kafka counts no tries, so the consumer does; it then hands the message to a topic for what is left over, from where
Remit collects it as a dead letter. What staff replay comes back by a topic of this group alone.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from brokers.close import closed_soon
from brokers.consumers.envelope_reader import NoEvent, event_in
from brokers.consumers.postgres import Effect, apply_when_possible
from brokers.kafka import TOPIC, KafkaAddress

if TYPE_CHECKING:
    from brokers.consumers.postgres import Pool

log = structlog.get_logger()

MOST_AT_ONCE = 100
POLL_MILLISECONDS = 500
RECONNECT_SECONDS = 1
FIRST_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class GroupNames:
    """A consumer group with its topics, and how often it tries."""

    group: str = "remit.events.worker"
    topic: str = TOPIC
    tries: int = 5

    @property
    def again(self) -> str:
        """What staff replay for this group."""
        return f"{self.group}.again"

    @property
    def dead(self) -> str:
        """What this group leaves over."""
        return f"{self.group}.dlq"


class GroupConsumer:
    """Runs one effect for every event of a topic, as a member of a group."""

    def __init__(
        self, address: KafkaAddress, pool: "Pool", consumer: str, effect: Effect, names: GroupNames | None = None
    ) -> None:
        """`consumer` names the effect: each event has each effect once."""
        self._address = address
        self._pool = pool
        self._consumer = consumer
        self._effect = effect
        self._names = names or GroupNames()
        self._is_lost = False

    async def run(self) -> NoReturn:
        """Consume until the task is cancelled. While the broker or the database is away, it waits."""
        while True:
            try:
                await self._consume()
            except KafkaError as error:
                if not self._is_lost:
                    log.warning("Kafka does not answer", group=self._names.group, error=str(error))
                self._is_lost = True
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _consume(self) -> None:
        options = self._address.options
        consumer = AIOKafkaConsumer(
            *(self._names.topic, self._names.again),
            **options,
            group_id=self._names.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # A topic that does not exist yet is found soon after it does.
            metadata_max_age_ms=5_000,
        )
        producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True)
        try:
            await producer.start()
            await consumer.start()
            while True:
                found = await consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=MOST_AT_ONCE)
                self._is_lost = False
                for partition, messages in found.items():
                    await self._take(consumer, producer, partition, messages)
        finally:
            await closed_soon(consumer.stop())
            await closed_soon(producer.stop())

    async def _take(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        partition: TopicPartition,
        messages: "list[ConsumerRecord[bytes, bytes]]",
    ) -> None:
        for message in messages:
            failure = await self._applied(message.value or b"")
            if failure is not None:
                headers = [*message.headers, ("x-reason", failure[:500].encode())]
                await producer.send_and_wait(self._names.dead, message.value, key=message.key, headers=headers)
            # Behind the effect or the hand-over: after a crash the message comes again, and is known by its id.
            await consumer.commit({partition: message.offset + 1})

    async def _applied(self, message: bytes) -> str | None:
        """None: it has had its effect. Else: why it had none, after all tries."""
        try:
            event = event_in(message)
        except NoEvent as error:
            return f"no event: {error}"
        for done in range(self._names.tries):
            failure = await apply_when_possible(self._pool, self._consumer, event, self._effect)
            if failure is None:
                return None
            log.warning(
                "an event had no effect", group=self._names.group, event_id=event["id"], tries=done + 1, error=failure
            )
            await asyncio.sleep(FIRST_WAIT_SECONDS * 2 ** min(done, 5))
        return f"{failure} (after {self._names.tries} tries)"
