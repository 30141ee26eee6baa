"""RabbitMQ gets every event, and a consumer does nothing twice, whatever is killed in between.

What can go wrong, and the test of it: no queue takes an event; one is too large; the broker is killed; the sink dies
between the confirm and its position; a message is poison, or no event; a dead letter is replayed.
"""

import asyncio
import json
import secrets

import aio_pika
import pytest

from brokers.consumers.rabbitmq_queue import QueueConsumer, QueueNames, declare_queue
from brokers.rabbitmq import EXCHANGE, RabbitMqSink, open_channel
from brokers.rabbitmq_dead_letters import RabbitMqDeadLetters
from customers.postgres import Customers
from database.connections import Database
from devenv.servers.rabbitmq_server import RabbitMqServer
from ledger.ids import CustomerId
from staff.dead_letters.postgres import DeadLetterActs
from staff.permissions import Actor, Role
from tests.brokers.consumers import (
    UNKEEPABLE_IDS,
    UNTELLABLE,
    Pool,
    effects,
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

pytestmark = pytest.mark.brokers

# RabbitMQ 3.10 notes a new queue on disk a moment after it has confirmed it: one that is killed before brings the queue
# back without a leader, for good.
QUEUE_ON_DISK_SECONDS = 3

LARGE = json.dumps({"text": "x" * 70_000})


@pytest.fixture
def names() -> QueueNames:
    """A queue of the test's own, which gets the events of endpoints."""
    return QueueNames(queue=f"test.{secrets.token_hex(4)}", binding="webhook_endpoint.*", tries=3)


@pytest.fixture
async def bound(rabbitmq: RabbitMqServer, names: QueueNames) -> None:
    """The queue is there before the first event."""
    opened = await open_channel(rabbitmq.url)
    await declare_queue(opened.channel, names)
    await opened.connection.close()


async def test_events_reach_their_queue_in_order_as_persistent_messages_named_by_their_id(
    database: Database, rabbitmq: RabbitMqServer
) -> None:
    opened = await open_channel(rabbitmq.url)
    queue = await opened.channel.declare_queue(exclusive=True)
    await queue.bind(EXCHANGE, "webhook_endpoint.*")
    await emit(database, *(f"whe_{number}" for number in range(30)))
    async with running(database, RabbitMqSink(rabbitmq.url)):
        await delivered(database, "rabbitmq")
    found = [await queue.get(no_ack=True) for _ in range(30)]
    await opened.connection.close()
    sent = [json.loads(message.body) for message in found]
    assert [event["subject"] for event in sent] == [f"whe_{number}" for number in range(30)]
    assert [message.message_id for message in found] == [event["id"] for event in sent]
    assert {message.routing_key for message in found} == {"webhook_endpoint.failing"}
    assert {message.delivery_mode for message in found} == {aio_pika.DeliveryMode.PERSISTENT}
    assert {message.content_type for message in found} == {"application/cloudevents+json; charset=UTF-8"}


async def test_an_event_that_no_queue_takes_or_that_is_too_large_is_a_dead_letter_and_the_others_arrive(
    database: Database, customers: Customers, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    await holder(customers)  # customer.created and account.created, which the queue does not take
    await emit(database, "whe_1")
    await emit(database, "whe_large", data=LARGE)
    await emit(database, "whe_2")
    consumer = QueueConsumer(rabbitmq.url, pool, "notes", note, names)
    async with running(database, RabbitMqSink(rabbitmq.url)), tasks(consumer.run()):
        await had_effect(pool, "whe_1", "whe_2")
        await delivered(database, "rabbitmq")
    found = {letter.type: letter.reason for letter in await letters(database, 3, "rabbitmq")}
    assert found.keys() >= {"customer.created", "account.created", "webhook_endpoint.failing"}
    assert found["account.created"] == f"no queue of {EXCHANGE} takes account.created"
    assert "PRECONDITION_FAILED - message size" in found["webhook_endpoint.failing"]


async def test_a_broker_that_is_killed_holds_the_sink_up_and_each_event_has_one_effect(
    database: Database, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    consumer = QueueConsumer(rabbitmq.url, pool, "notes", note, names)
    first, second = [[f"whe_{number:03}" for number in range(start, start + 50)] for start in (0, 50)]
    async with running(database, RabbitMqSink(rabbitmq.url)), tasks(consumer.run()):
        await emit(database, *first)
        await had_effect(pool, *first)
        await asyncio.sleep(QUEUE_ON_DISK_SECONDS)
        await rabbitmq.kill()
        await emit(database, *second)

        async def is_failing() -> bool:
            return (await standing(database, "rabbitmq")).failing_since is not None

        await until(is_failing, "the sink says that it fails", 20)
        assert (await standing(database, "rabbitmq")).lag_events >= 50
        await rabbitmq.start()
        await delivered(database, "rabbitmq")
        await had_effect(pool, *first, *second)
    assert (await standing(database, "rabbitmq")).failing_since is None


async def test_a_sink_killed_between_the_confirm_and_its_position_leaves_one_effect(
    database: Database, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    class Dying(RabbitMqSink):
        calls = 0

        async def publish(self, events):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            rejected = await super().publish(events)
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("killed")
            return rejected

    sink = Dying(rabbitmq.url)
    await emit(database, "whe_1", "whe_2")
    async with running(database, sink), tasks(QueueConsumer(rabbitmq.url, pool, "notes", note, names).run()):
        await delivered(database, "rabbitmq")
        await emit(database, "whe_3")
        await had_effect(pool, "whe_1", "whe_2", "whe_3")
    assert sink.calls >= 2, "the first two were published twice"


async def test_a_poison_message_blocks_nobody_and_its_replay_goes_to_its_queue_alone(
    database: Database, customers: Customers, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    staff = Actor(CustomerId((await holder(customers)).id), Role.OPERATOR)
    other = QueueNames(queue=f"{names.queue}.other", binding="webhook_endpoint.*")
    opened = await open_channel(rabbitmq.url)
    untouched = await declare_queue(opened.channel, other)
    source = f"queue:{names.queue}"
    consumer = QueueConsumer(rabbitmq.url, pool, "notes", note, names)
    collector = RabbitMqDeadLetters(rabbitmq.url, database, names)
    await emit(database, "whe_1", "poison_1", "whe_2")
    async with running(database, RabbitMqSink(rabbitmq.url)), tasks(collector.run()):
        async with tasks(consumer.run()):
            await had_effect(pool, "whe_1", "whe_2")
            (letter,) = await letters(database, 1, source)
        assert (letter.reason, letter.attempts, letter.body["subject"]) == (
            "ValueError: poison (after 3 tries)",
            3,
            "poison_1",
        )
        assert letter.event_id == letter.body["id"]

        async def healed(connection, event):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            await connection.execute("INSERT INTO effects VALUES ($1, $2)", event["id"], event["subject"])

        await DeadLetterActs(database).replay(staff, letter.id, "mended")
        async with tasks(QueueConsumer(rabbitmq.url, pool, "notes", healed, names).run()):
            await had_effect(pool, "poison_1", "whe_1", "whe_2")
    assert untouched.name == other.queue
    declared = await opened.channel.declare_queue(other.queue, passive=True)
    assert declared.declaration_result.message_count == 3, "the replay came to no other queue"
    await opened.connection.close()


async def test_a_message_that_is_no_event_is_a_dead_letter_at_once(
    database: Database, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    opened = await open_channel(rabbitmq.url)
    bodies = [b"\xff no JSON", b'{"id": "evt_1", "type": "t", "zero": "\\u0000"}', b"[1]"]
    for body in bodies:
        await opened.channel.default_exchange.publish(aio_pika.Message(body), names.queue)
    await opened.connection.close()
    collector = RabbitMqDeadLetters(rabbitmq.url, database, names)
    consumer = QueueConsumer(rabbitmq.url, pool, "notes", note, names)
    async with tasks(collector.run(), consumer.run()):
        found = await letters(database, 3, f"queue:{names.queue}")
    assert sorted(letter.event_id or "" for letter in found) == ["", "", "evt_1"]
    assert all(letter.body.keys() == {"base64"} for letter in found)


async def test_a_message_whose_id_or_failure_is_no_text_for_postgresql_blocks_nobody(
    database: Database, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    opened = await open_channel(rabbitmq.url)
    for id_ in UNKEEPABLE_IDS:
        await opened.channel.default_exchange.publish(aio_pika.Message(event_named(id_)), names.queue)
    for number, subject in enumerate((*UNTELLABLE, "whe_1")):
        message = aio_pika.Message(event_named(f"evt_{number}", subject))
        await opened.channel.default_exchange.publish(message, names.queue)
    await opened.connection.close()
    collector = RabbitMqDeadLetters(rabbitmq.url, database, names)
    async with tasks(collector.run(), QueueConsumer(rabbitmq.url, pool, "notes", repeats_subject, names).run()):
        await had_effect(pool, "whe_1", seconds=60)
        found = await letters(database, len(UNKEEPABLE_IDS) + len(UNTELLABLE), f"queue:{names.queue}")
    assert sum(letter.event_id is None for letter in found) == len(UNKEEPABLE_IDS)


async def test_a_consumer_that_is_killed_has_each_effect_once(
    database: Database, rabbitmq: RabbitMqServer, names: QueueNames, bound: None, pool: Pool
) -> None:
    async def slow(connection, event):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        await note(connection, event)
        await asyncio.sleep(0.005)

    subjects = [f"whe_{number:02}" for number in range(40)]
    await emit(database, *subjects)
    async with running(database, RabbitMqSink(rabbitmq.url)):
        await delivered(database, "rabbitmq")
    for seen in (5, 15, 25):
        async with tasks(QueueConsumer(rabbitmq.url, pool, "notes", slow, names).run()):

            async def has_some(least: int = seen) -> bool:
                return len(await effects(pool)) >= least

            await until(has_some, f"{seen} effects", 20)
    async with tasks(QueueConsumer(rabbitmq.url, pool, "notes", slow, names).run()):
        await had_effect(pool, *subjects)
