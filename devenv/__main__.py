"""`python -m devenv [brokers]`: has the servers that the tests need, with progress, before the tests' own time limits.

With `brokers`, those of `make check-brokers` as well.
"""

import asyncio
import sys

from devenv.errors import StackError
from devenv.servers.kafka_server import kafka_jars
from devenv.servers.rabbitmq_server import rabbitmq_packages
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.time_skipping import time_skipping_server
from settings import Settings


def say(line: str) -> None:
    """Progress, for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


async def main(*, with_brokers: bool) -> None:
    """Find, download or build the Temporal server and the time-skipping one, and the brokers if wanted."""
    settings = Settings()
    await temporal_binary(settings.cache, say, settings.temporal_cli)
    await time_skipping_server(settings.cache, say)
    if with_brokers:
        await rabbitmq_packages(settings.cache, say)
        await kafka_jars(settings.cache, say)


try:
    asyncio.run(main(with_brokers="brokers" in sys.argv[1:]))
except StackError as error:
    raise SystemExit(str(error)) from None
