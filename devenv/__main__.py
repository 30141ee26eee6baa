"""`python -m devenv`: has the servers that the tests need, with progress, before the tests' own time limits run."""

import asyncio
import sys

from devenv.errors import StackError
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.time_skipping import time_skipping_server
from settings import Settings


def say(line: str) -> None:
    """Progress, for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


async def main() -> None:
    """Find, download or build the Temporal server and the time-skipping one."""
    settings = Settings()
    await temporal_binary(settings.cache, say, settings.temporal_cli)
    await time_skipping_server(settings.cache, say)


try:
    asyncio.run(main())
except StackError as error:
    raise SystemExit(str(error)) from None
