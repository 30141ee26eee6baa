"""The example of a consumer runs as a process of its own, from its start to SIGTERM."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from brokers.consumers.kafka_topic import GroupNames
from brokers.consumers.rabbitmq_queue import QueueNames, declare_queue
from brokers.kafka import KafkaAddress
from brokers.rabbitmq import EXCHANGE, open_channel
from devenv.servers.rabbitmq_server import RabbitMqServer
from tests.cli.remit import STARTS_WITHIN_SECONDS, remit, started
from tests.waiting import until

pytestmark = pytest.mark.brokers

# The second one comes twice, as behind a crash of its sink.
SENT = ["evt_example_1", "evt_example_2", "evt_example_2", "evt_example_3"]

MARKED = "SELECT event_id FROM processed_events WHERE consumer = 'example-worker' AND event_id LIKE 'evt\\_example\\_%'"
COUNTED = "SELECT events FROM example_worker.event_counts WHERE type = 'account.frozen'"


def message(event_id: str) -> bytes:
    return json.dumps({"id": event_id, "type": "account.frozen", "subject": "acc_1"}).encode()


@asynccontextmanager
async def consuming(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, which is ended by SIGTERM, and then has ended well."""
    process = await started("events", "consume", *arguments, **variables)
    try:
        yield process
        process.terminate()
        printed, output = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, output.decode()
        assert printed.decode().splitlines()[-1].startswith("Stopped.")
    finally:
        if process.returncode is None:
            process.kill()


async def printed_until(process: asyncio.subprocess.Process, beginning: str) -> list[str]:
    """The lines up to one that begins so."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(STARTS_WITHIN_SECONDS):
        while not lines or not lines[-1].startswith(beginning):
            line = await process.stdout.readline()
            assert line, f"it has ended: {lines}"
            lines.append(line.decode().rstrip())
    return lines


async def each_was_counted_once(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)

    async def are_marked() -> bool:
        return len(await connection.fetch(MARKED)) == len(set(SENT))

    try:
        await until(are_marked, "all events are marked", 30)
        assert await connection.fetchval(COUNTED) == len(set(SENT))
    finally:
        await connection.execute("DROP SCHEMA example_worker CASCADE")
        await connection.close()


async def test_the_example_worker_counts_each_event_of_rabbitmq_once_and_ends_by_sigterm(
    rabbitmq: RabbitMqServer, database_url: str
) -> None:
    names = QueueNames()
    opened = await open_channel(rabbitmq.url)
    await declare_queue(opened.channel, names)
    try:
        async with consuming(REMIT_RABBITMQ_URL=rabbitmq.url, CONSUMER_DATABASE_URL=database_url) as process:
            (start,) = await printed_until(process, "Reads the queue wallet.events.worker")
            assert rabbitmq.url not in start
            exchange = await opened.channel.get_exchange(EXCHANGE)
            for event_id in SENT:
                await exchange.publish(aio_pika.Message(message(event_id)), "account.frozen")
            lines = await printed_until(process, "account.frozen acc_1: number 3 of its type (evt_example_3)")
            assert sum("came again" in line for line in lines) == 1
            await each_was_counted_once(database_url)
    finally:
        # The queue takes every event: other tests want one that takes none.
        await opened.channel.queue_delete(names.queue)
        await opened.connection.close()


async def test_the_example_worker_counts_each_event_of_kafka_once(
    kafka_address: KafkaAddress, database_url: str
) -> None:
    producer = AIOKafkaProducer(**kafka_address.options)
    await producer.start()
    for event_id in SENT:
        await producer.send_and_wait(GroupNames().topic, message(event_id), key=b"acc_1")
    await producer.stop()
    async with consuming("--kafka", "--database", database_url, REMIT_KAFKA_URL=kafka_address.url) as process:
        await printed_until(process, "account.frozen acc_1: number 3 of its type (evt_example_3)")
        await each_was_counted_once(database_url)


@pytest.mark.parametrize(
    ("arguments", "variables", "output"),
    [
        ((), {}, "No broker is configured: set REMIT_RABBITMQ_URL or REMIT_KAFKA_URL."),
        (("--kafka",), {"REMIT_RABBITMQ_URL": "amqp://broker"}, "Set REMIT_KAFKA_URL."),
        (
            ("--database", "postgresql://127.0.0.1:1/none"),
            {"REMIT_RABBITMQ_URL": "amqp://broker"},
            "The consumer's database cannot be used: ",
        ),
    ],
)
async def test_the_example_worker_says_in_one_line_what_it_lacks(
    arguments: tuple[str, ...], variables: dict[str, str], output: str
) -> None:
    status, printed, lines = await remit("events", "consume", *arguments, **variables)
    assert (status != 0, printed, len(lines)) == (True, "", 1), lines
    assert lines[0].startswith(output)
