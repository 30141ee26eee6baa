"""Keeps child processes alive: starts them in order, restarts those that die, and stops them in reverse order.

It records them in a file. The next supervisor on the same home ends the processes that a killed supervisor left.
"""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import asyncio
import json
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from devenv.errors import StackError
from devenv.files import read_json, write_private
from devenv.processes.log_files import rotate
from devenv.processes.process import Child, Process, Say

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STABLE_AFTER_SECONDS = 60.0
LEFTOVER_SECONDS = 20.0
RECORD_PAUSE_SECONDS = 1.0
ROTATION_PAUSE_SECONDS = 10.0
CLOCKS_DIFFER_SECONDS = 2.0


class Supervisor:
    """The children of one stack. `changed` is called whenever a child has a new pid.

    A file that cannot be written, because the disk is full, keeps no child from running: it is written once it can be.
    `order` lists the children, each after those that it depends on; `stop` follows it backwards.
    """

    def __init__(self, order: Sequence[str], *, record: Path, say: Say, changed: Callable[[], None]) -> None:
        self.hurry = asyncio.Event()
        """Set it to make `stop` kill instead of wait."""
        self._order = order
        self._record = record
        self._say = say
        self._changed = changed
        self._processes: dict[str, Process] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._recording: asyncio.Task[None] | None = None
        self._rotating: asyncio.Task[None] | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The pids of the children that run now, by name."""
        return {name: process.pid for name, process in self._processes.items() if process.alive}

    async def start(self, child: Child) -> None:
        """Start a child and return when it is ready. From then on it is restarted whenever it dies.

        Raises StackError when it does not get ready. Several children may be started at the same time.
        """
        assert child.name in self._order, child.name
        if self._rotating is None:
            self._rotating = asyncio.create_task(self._rotate_logs(), name="rotate log files")
        await self._spawn(child)
        self._watches.append(asyncio.create_task(self._watch(child), name=f"watch {child.name}"))

    async def stop(self) -> None:
        """End all children, each within its limit (at once when `hurry` is set), and remove the record."""
        tasks = [*self._watches, *filter(None, (self._recording, self._rotating))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for name in reversed(self._order):
            if (process := self._processes.get(name)) is not None:
                await process.stop(self.hurry)
        self._record.unlink(missing_ok=True)

    async def _spawn(self, child: Child) -> None:
        if child.before is not None:
            await child.before()
        process = Process(child)
        self._processes[child.name] = process
        self._record_or_retry(self._write_record)
        try:
            await process.until_ready()
        except StackError:
            await process.stop(self.hurry)
            raise
        self._record_or_retry(self._changed)

    async def _watch(self, child: Child) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            process = self._processes[child.name]
            await process.ended()
            if process.was_ready and process.lived_seconds >= STABLE_AFTER_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            died = f"{child.name} (pid {process.pid}) has died: {process.how_it_ended()}"
            self._say(f"{died}. Starting it again in {pause:g} s; its log is {child.log}")
            # As often as there is not even a process: the long life of the one before says nothing about the next.
            while self._processes[child.name] is process:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                await self._start_again(child, pause)

    async def _start_again(self, child: Child, next_pause: float) -> None:
        try:
            await self._spawn(child)
            self._say(f"{child.name} runs again (pid {self._processes[child.name].pid})")
        except StackError as problem:
            self._say(str(problem))
        except OSError as problem:
            self._say(f"{child.name} cannot be started: {problem}. Trying again in {next_pause:g} s")

    async def _rotate_logs(self) -> None:
        """Keep the log files of the children small. A full disk leaves them as they are until the next look."""
        while True:
            await asyncio.sleep(ROTATION_PAUSE_SECONDS)
            for process in list(self._processes.values()):
                with suppress(OSError):
                    await asyncio.to_thread(rotate, process.child.log)

    def _record_or_retry(self, write: Callable[[], None]) -> None:
        """Write a file about the children. Where that fails, both files are written as soon as they can be."""
        try:
            write()
        except OSError as problem:
            if self._recording is None or self._recording.done():
                self._say(f"What runs cannot be recorded: {problem}. The children run on; trying again until it can be")
                self._recording = asyncio.create_task(self._record_later(), name="record the children")

    async def _record_later(self) -> None:
        while True:
            await asyncio.sleep(RECORD_PAUSE_SECONDS)
            with suppress(OSError):
                self._write_record()
                self._changed()
                self._say("What runs is recorded again")
                return

    def _write_record(self) -> None:
        alive = {}
        for name, pid in self.pids.items():
            with suppress(psutil.NoSuchProcess):
                alive[name] = {"pid": pid, "created": psutil.Process(pid).create_time()}
        write_private(self._record, json.dumps(alive))


async def end_leftovers(record: Path, say: Say) -> None:
    """End the children of a supervisor that was killed before it could stop them.

    After a reboot another process may have the pid, so only a process with the recorded creation time is ended.
    """
    left: dict[str, psutil.Process] = {}
    for name, entry in (read_json(record) or {}).items():
        with suppress(psutil.NoSuchProcess, KeyError, TypeError):
            process = psutil.Process(entry["pid"])
            if is_same(process, entry["created"]):
                left[name] = process
    for name, process in left.items():
        say(f"{name} (pid {process.pid}) is left over from a stack that was killed: ending it")
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    limit = time.monotonic() + LEFTOVER_SECONDS
    while any(is_alive(process) for process in left.values()):
        if time.monotonic() > limit:
            for process in left.values():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        await asyncio.sleep(0.05)
    record.unlink(missing_ok=True)


def is_same(process: psutil.Process, created: float) -> bool:
    """Whether the process was created at this time. The kernel's clock and ours may differ slightly."""
    return abs(process.create_time() - created) < CLOCKS_DIFFER_SECONDS


def is_alive(process: psutil.Process) -> bool:
    """Whether the process still runs. A zombie that its parent has not reaped does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
