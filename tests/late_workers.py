"""Workers of in-process applications begin with the first workflow or schedule: most tests of the API start neither."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow
from temporalio.worker import Worker

import worker
import worker_process


class LateWorker:
    """Runs as soon as anybody in this process has started a workflow on its task queue, also before it was made."""

    def __init__(self, build: Callable[[], Worker], wanted: asyncio.Event) -> None:
        self._build = build
        self._wanted = wanted
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def __aexit__(self, *error: object) -> None:
        assert self._running is not None
        self._stop.set()
        if not self._wanted.is_set():
            self._running.cancel()
            await asyncio.wait([self._running])
            return
        await self._running

    async def _run(self) -> None:
        await self._wanted.wait()
        async with self._build():
            await self._stop.wait()


@contextmanager
def late_workers() -> Iterator[None]:
    wanted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
    build, start, schedule = worker.build_worker, Client.start_workflow, Client.create_schedule

    def late(*args: Any, **options: Any) -> LateWorker:
        settings = args[2]
        return LateWorker(lambda: build(*args, **options), wanted[settings.task_queue])

    async def started(self: Client, *args: Any, task_queue: str, **options: Any) -> Any:
        wanted[task_queue].set()
        return await start(self, *args, task_queue=task_queue, **options)

    async def scheduled(self: Client, id: str, what: Schedule, *args: Any, **options: Any) -> Any:  # noqa: A002
        assert isinstance(what.action, ScheduleActionStartWorkflow)
        wanted[what.action.task_queue].set()
        return await schedule(self, id, what, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_process, "build_worker", late)
        patch.setattr(Client, "start_workflow", started)
        patch.setattr(Client, "create_schedule", scheduled)
        yield
