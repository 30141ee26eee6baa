"""Real brokers on 127.0.0.1, one of each for all tests here. `make check-brokers` has their programs ready."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from brokers.kafka import KafkaAddress
from devenv.errors import StackError
from devenv.servers.kafka_server import KafkaServer, kafka_jars
from devenv.servers.rabbitmq_server import RabbitMqServer, rabbitmq_packages
from settings import Settings

# So that a test need not make a message of many megabytes.
MOST_BYTES = 65_536


@pytest.fixture(scope="session")
async def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitMqServer]:
    try:
        root = await rabbitmq_packages(Settings().cache, print)
    except StackError as error:
        pytest.fail(f"there is no RabbitMQ for this test: {error}")
    server = RabbitMqServer(root, tmp_path_factory.mktemp("rabbitmq"), {"max_message_size": MOST_BYTES})
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaServer]:
    try:
        jars = await kafka_jars(Settings().cache, print)
    except StackError as error:
        pytest.fail(f"there is no Kafka for this test: {error}")
    server = KafkaServer(jars, tmp_path_factory.mktemp("kafka"), {"message.max.bytes": MOST_BYTES})
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def kafka_address(kafka: KafkaServer) -> KafkaAddress:
    return KafkaAddress(kafka.url)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """A consumer's own connections to its database, which here is that of the test."""
    async with asyncpg.create_pool(database_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE effects (event_id text, subject text)")
        yield pool
        await pool.execute("DROP TABLE effects")
