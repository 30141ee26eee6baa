"""An example of a consumer: it counts events by their type, in its own PostgreSQL, and says what it does.

Copy both modules of this folder, and give it an effect of your own.
"""

import asyncio
import signal
from typing import TYPE_CHECKING

from brokers.consumers.kafka_topic import GroupConsumer, GroupNames
from brokers.consumers.postgres import consumer_pool
from brokers.consumers.rabbitmq_queue import QueueConsumer, QueueNames
from brokers.example.postgres import CONSUMER, COUNTS, Say, count_and
from brokers.kafka import KafkaAddress

if TYPE_CHECKING:
    from brokers.consumers.postgres import Effect, Pool


async def work_until_stopped(database_url: str, broker: "str | KafkaAddress", say: Say) -> None:
    """Consume from RabbitMQ, by its URL, or from Kafka, until SIGTERM or SIGINT. It waits for what is away meanwhile.

    An event whose transaction had not committed by then comes again. Raises `Unavailable` where the database gives no
    answer at the start, or refuses.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with consumer_pool(database_url, COUNTS) as pool:
        consumer, place = _consumer(pool, broker, count_and(say))
        say(f"Reads {place}, and counts events in example_worker.event_counts. Ctrl-C stops it.")
        async with asyncio.TaskGroup() as tasks:
            consuming = tasks.create_task(consumer.run())
            await stopped.wait()
            consuming.cancel()
    say("Stopped. What was not counted comes again with the next start.")


def _consumer(
    pool: "Pool", broker: "str | KafkaAddress", effect: "Effect"
) -> "tuple[QueueConsumer | GroupConsumer, str]":
    if isinstance(broker, KafkaAddress):
        group = GroupNames()
        place = f"the topic {group.topic} of Kafka as a member of the group {group.group}"
        return GroupConsumer(broker, pool, CONSUMER, effect, group), place
    queue = QueueNames()
    return QueueConsumer(broker, pool, CONSUMER, effect, queue), f"the queue {queue.queue} of RabbitMQ"
