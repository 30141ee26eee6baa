"""`remit api --with-worker` without events, to compare with: `python -m bench.without_events`.

No setting of the product does that. The database of such a process must have its triggers of events off.
"""

import asyncio
from typing import NoReturn

import uvloop
from temporalio.client import Client

from event_tasks import EventTasks
from logs import configure_logging
from serve import serve_api
from settings import Settings


class NoEventTasks(EventTasks):
    """A worker that numbers nothing, hands nothing on and wakes nobody."""

    def begin(self) -> list[asyncio.Task[NoReturn] | asyncio.Task[None]]:
        """Begin nothing."""
        return []

    def begin_waking(self, client: Client) -> list[asyncio.Task[NoReturn] | asyncio.Task[None]]:
        """Wake nobody."""
        del client
        return []


def main() -> None:
    """Serve until SIGTERM, with the settings of the environment."""
    settings = Settings()
    configure_logging(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_api(settings, with_worker=True, event_tasks=NoEventTasks))


if __name__ == "__main__":
    main()
