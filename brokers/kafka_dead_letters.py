"""Collects what a consumer group of Kafka left over as dead letters, and hands back to it what staff replay."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from brokers.close import closed_soon
from brokers.consumers.envelope_reader import NoEvent, event_in
from brokers.consumers.kafka_topic import GroupNames
from brokers.kafka import HEADERS, KafkaAddress
from database.connections import Database
from events.dead_letter import DeadLetter, Undelivered, body_of, line_of, message_of, queue_source
from events.postgres.dead_letters import bury, send_replays

log = structlog.get_logger()

# The group of the workers that collect.
COLLECTORS = "remit.dead-letters"

WAIT_SECONDS = 1


class KafkaDeadLetters:
    """Every worker may run one: each message is collected, and each replay sent, by one of them."""

    def __init__(self, address: KafkaAddress, database: Database, names: GroupNames | None = None) -> None:
        self._address = address
        self._database = database
        self._names = names or GroupNames()
        self._source = queue_source(self._names.group)
        self._is_lost = False

    async def run(self) -> NoReturn:
        """Collect and hand back until the task is cancelled. While the broker or PostgreSQL is away, it waits."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._collect())
                    group.create_task(self._hand_back())
            except* Exception as errors:  # noqa: BLE001 - nobody awaits this task: it would end unseen
                if not self._is_lost:
                    log.warning("no dead letters are collected", source=self._source, error=repr(errors.exceptions[0]))
                self._is_lost = True
            await asyncio.sleep(WAIT_SECONDS)

    async def _collect(self) -> NoReturn:
        consumer = AIOKafkaConsumer(
            self._names.dead,
            **self._address.options,
            group_id=COLLECTORS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=5_000,
        )
        try:
            await consumer.start()
            while True:
                message = await consumer.getone()
                self._is_lost = False
                headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers}
                async with self._database.transaction() as connection:
                    await bury(connection, self._letter(message.value or b"", headers))
                await consumer.commit()
        finally:
            await closed_soon(consumer.stop())

    def _letter(self, message: bytes, headers: dict[str, str]) -> Undelivered:
        found: dict[str, Any] = {}
        with suppress(NoEvent):
            found = event_in(message)
        return Undelivered(
            source=self._source,
            event_id=found.get("id"),
            type=found.get("type"),
            reason=line_of(headers.get("x-reason", "left over")),
            attempts=self._names.tries if found else 1,
            body=body_of(message),
        )

    async def _hand_back(self) -> NoReturn:
        producer = AIOKafkaProducer(**self._address.options, acks="all", enable_idempotence=True)
        try:
            await producer.start()
            while True:
                if not await send_replays(self._database, self._source, lambda letters: self._send(producer, letters)):
                    await asyncio.sleep(WAIT_SECONDS)
        finally:
            await closed_soon(producer.stop())

    async def _send(
        self, producer: AIOKafkaProducer, letters: Sequence[DeadLetter]
    ) -> Sequence[tuple[DeadLetter, str]]:
        for letter in letters:
            key = str(letter.body.get("partitionkey") or letter.id).encode()
            await producer.send_and_wait(self._names.again, message_of(letter.body), key=key, headers=HEADERS)
        return []
