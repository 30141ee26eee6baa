"""Kafka gets every event, and a consumer group does nothing twice, whatever is killed in between.

What can go wrong, and the test of it: an event is too large; the broker is killed; the sink dies between the confirm
and its position; a message is poison, or no event; a dead letter is replayed.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from brokers.consumers.kafka_topic import GroupConsumer, GroupNames
from brokers.kafka import KafkaAddress, KafkaSink
from brokers.kafka_dead_letters import KafkaDeadLetters
from customers.postgres import Customers
from database.connections import Database
from devenv.servers.kafka_server import KafkaServer
from ledger.ids import CustomerId
from staff.dead_letters.postgres import DeadLetterActs
from staff.permissions import Actor, Role
from tests.brokers.consumers import (
    UNKEEPABLE_IDS,
    UNTELLABLE,
    Pool,
    event_named,
    had_effect,
    letters,
    note,
    repeats_subject,
    tasks,
)
from tests.events.sinks import delivered, emit, running, standing
from tests.orders import holder
from tests.waiting import until

pytestmark = [pytest.mark.brokers, pytest.mark.timeout(180)]

LARGE = json.dumps({"text": "x" * 70_000})


@pytest.fixture
def names() -> GroupNames:
    """A group and a topic of the test's own."""
    word = secrets.token_hex(4)
    return GroupNames(group=f"group.{word}", topic=f"events.{word}", tries=3)


async def test_events_reach_the_topic_keyed_and_in_order_as_structured_cloud_events(
    database: Database, kafka_address: KafkaAddress, names: GroupNames
) -> None:
    await emit(database, *[f"whe_{number % 3}" for number in range(30)])
    async with running(database, KafkaSink(kafka_address, names.topic)):
        await delivered(database, "kafka")
    consumer = AIOKafkaConsumer(names.topic, **kafka_address.options, auto_offset_reset="earliest")
    await consumer.start()
    found = [await consumer.getone() for _ in range(30)]
    await consumer.stop()
    by_key: dict[bytes, list[int]] = {}
    for message in found:
        event = json.loads(message.value)
        by_key.setdefault(message.key, []).append(int(event["sequence"]))
        assert message.key.decode() == event["partitionkey"] == event["subject"]
        assert dict(message.headers) == {"content-type": b"application/cloudevents+json; charset=UTF-8"}
    assert by_key == {f"whe_{n}".encode(): list(range(n + 1, 31, 3)) for n in range(3)}


async def test_an_event_that_is_too_large_is_a_dead_letter_and_the_others_arrive(
    database: Database, kafka_address: KafkaAddress, names: GroupNames, pool: Pool
) -> None:
    await emit(database, "whe_1")
    await emit(database, "whe_large", data=LARGE)
    await emit(database, "whe_2")
    consumer = GroupConsumer(kafka_address, pool, "notes", note, names)
    async with running(database, KafkaSink(kafka_address, names.topic)), tasks(consumer.run()):
        await delivered(database, "kafka")
        await had_effect(pool, "whe_1", "whe_2", seconds=60)
    (letter,) = await letters(database, 1, "kafka")
    assert letter.reason.startswith("too large for Kafka")
    assert letter.body["subject"] == "whe_large"


async def test_a_broker_that_is_killed_holds_the_sink_up_and_each_event_has_one_effect(
    database: Database, kafka: KafkaServer, kafka_address: KafkaAddress, names: GroupNames, pool: Pool
) -> None:
    consumer = GroupConsumer(kafka_address, pool, "notes", note, names)
    first, second = [[f"whe_{number:03}" for number in range(start, start + 50)] for start in (0, 50)]
    async with running(database, KafkaSink(kafka_address, names.topic)), tasks(consumer.run()):
        await emit(database, *first)
        await had_effect(pool, *first, seconds=60)
        await kafka.kill()
        await emit(database, *second)

        async def is_failing() -> bool:
            return (await standing(database, "kafka")).failing_since is not None

        await until(is_failing, "the sink says that it fails", 30)
        assert (await standing(database, "kafka")).lag_events == 50
        await kafka.start()
        await had_effect(pool, *first, *second, seconds=90)
        await delivered(database, "kafka")
    assert (await standing(database, "kafka")).failing_since is None


async def test_a_sink_killed_between_the_confirm_and_its_position_leaves_one_effect(
    database: Database, kafka_address: KafkaAddress, names: GroupNames, pool: Pool
) -> None:
    class Dying(KafkaSink):
        calls = 0

        async def publish(self, events):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            rejected = await super().publish(events)
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("killed")
            return rejected

    sink = Dying(kafka_address, names.topic)
    await emit(database, "whe_1", "whe_2")
    async with running(database, sink), tasks(GroupConsumer(kafka_address, pool, "notes", note, names).run()):
        await delivered(database, "kafka")
        await emit(database, "whe_3")
        await had_effect(pool, "whe_1", "whe_2", "whe_3", seconds=60)
    assert sink.calls >= 2, "the first two were published twice"


async def test_a_poison_message_blocks_nobody_and_its_replay_goes_to_its_group_alone(
    database: Database, customers: Customers, kafka_address: KafkaAddress, names: GroupNames, pool: Pool
) -> None:
    async def healed(connection: Any, event: Mapping[str, Any]) -> None:
        await connection.execute("INSERT INTO effects VALUES ($1, $2)", event["id"], event["subject"])

    producer = AIOKafkaProducer(**kafka_address.options)
    await producer.start()
    await producer.send_and_wait(names.topic, b"\xff no event", key=b"whe_1")
    await producer.stop()
    await emit(database, "whe_1", "poison_1", "whe_2")
    source = f"queue:{names.group}"
    async with running(database, KafkaSink(kafka_address, names.topic)):
        await delivered(database, "kafka")
    collector = KafkaDeadLetters(kafka_address, database, names)
    async with tasks(collector.run()):
        async with tasks(GroupConsumer(kafka_address, pool, "notes", note, names).run()):
            await had_effect(pool, "whe_1", "whe_2", seconds=60)
            found = {letter.event_id is None: letter for letter in await letters(database, 2, source)}
        assert found[True].reason.startswith("no event: ")
        assert (found[False].reason, found[False].attempts) == ("ValueError: poison (after 3 tries)", 3)
        staff = Actor(CustomerId((await holder(customers)).id), Role.OPERATOR)
        await DeadLetterActs(database).replay(staff, found[False].id, "mended")
        async with tasks(GroupConsumer(kafka_address, pool, "notes", healed, names).run()):
            await had_effect(pool, "poison_1", "whe_1", "whe_2", seconds=60)
    consumer = AIOKafkaConsumer(names.topic, **kafka_address.options, auto_offset_reset="earliest")
    await consumer.start()
    ends = await consumer.end_offsets(consumer.assignment())
    await consumer.stop()
    assert sum(ends.values()) == 4, "the replay came to no other group"


async def test_a_message_whose_id_or_failure_is_no_text_for_postgresql_blocks_nobody(
    database: Database, kafka_address: KafkaAddress, names: GroupNames, pool: Pool
) -> None:
    producer = AIOKafkaProducer(**kafka_address.options)
    await producer.start()
    for id_ in UNKEEPABLE_IDS:
        await producer.send_and_wait(names.topic, event_named(id_), headers=[("empty", None)])
    for number, subject in enumerate((*UNTELLABLE, "whe_1")):
        await producer.send_and_wait(names.topic, event_named(f"evt_{number}", subject))
    await producer.stop()
    collector = KafkaDeadLetters(kafka_address, database, names)
    async with tasks(collector.run(), GroupConsumer(kafka_address, pool, "notes", repeats_subject, names).run()):
        await had_effect(pool, "whe_1", seconds=60)
        found = await letters(database, len(UNKEEPABLE_IDS) + len(UNTELLABLE), f"queue:{names.group}")
    assert sum(letter.event_id is None for letter in found) == len(UNKEEPABLE_IDS)
