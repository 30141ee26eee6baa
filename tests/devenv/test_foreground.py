"""Claims about a whole `remit run`-like process: how it ends, and what it leaves when it is killed."""

# ruff: noqa: ASYNC220 - one process and small files; nothing else waits for the loop meanwhile

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from devenv.home import RunRecord, live_run
from settings import Settings

pytestmark = pytest.mark.system

Until = Callable[..., Awaitable[None]]

PROJECT = Path(__file__).resolve().parents[2]
FOREGROUND = """
import asyncio, sys

from devenv.stack import Stack
from settings import Settings

async def prepare(database_url, temporal_address):
    pass

def say(line):
    print(line, file=sys.stderr, flush=True)

asyncio.run(Stack(Settings(), prepare, api_argv=sys.argv[1:], say=say).run_until_stopped())
"""


class Foreground:
    """`remit run` with a stand-in for the API, in a process of its own."""

    def __init__(self, settings: Settings, api_argv: list[str], until: Until) -> None:
        self.settings = settings
        self.output = settings.home.with_name("output")
        self._api_argv = api_argv
        self._until = until
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> RunRecord:
        settings = self.settings
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
            "REMIT_HOME": str(settings.home),
            "REMIT_API_PORT": str(settings.api_port),
            "REMIT_TEMPORAL_PORT": str(settings.temporal_port),
            "REMIT_TEMPORAL_UI_PORT": str(settings.temporal_ui_port),
        }
        argv = [sys.executable, "-c", FOREGROUND, *self._api_argv]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(argv, env=environment, stdout=output, stderr=output)
        await self._until(lambda: self.ready or not self.runs, "the line `ready`")
        run = live_run(settings.home)
        assert run is not None, self.output.read_text()
        return run

    @property
    def ready(self) -> bool:
        return any(line.startswith("ready") for line in self.output.read_text().splitlines())

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def descendants(self) -> set[int]:
        assert self.process is not None
        return {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)}

    async def end(self, number: signal.Signals) -> int | None:
        assert self.process is not None
        self.process.send_signal(number)
        await self._until(lambda: not self.runs, f"the end after {number.name}")
        return self.process.returncode


@pytest.fixture
def foreground(settings: Settings, api_argv: list[str], until: Until) -> Iterator[Foreground]:
    started = Foreground(settings, api_argv, until)
    yield started
    if started.runs and started.process is not None:
        started.process.kill()
        started.process.wait()


async def test_sigterm_stops_everything_and_leaves_no_process_behind(
    foreground: Foreground, alive: Callable[[int], bool]
) -> None:
    run = await foreground.start()
    started = foreground.descendants
    assert set(run.pids.values()) <= started

    assert await foreground.end(signal.SIGTERM) == 0, foreground.output.read_text()

    assert not [pid for pid in started if alive(pid)]
    assert live_run(foreground.settings.home) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent has died")
async def test_a_supervisor_killed_9_leaves_no_orphan_and_the_next_start_works(
    foreground: Foreground, alive: Callable[[int], bool], until: Until
) -> None:
    first = await foreground.start()
    orphans = foreground.descendants
    await foreground.end(signal.SIGKILL)
    assert live_run(foreground.settings.home) is None

    second = await foreground.start()  # at once, while they are still ending

    assert second.database_url == first.database_url
    assert second.pids.keys() == first.pids.keys()
    await until(lambda: not [pid for pid in orphans if alive(pid)], "the end of all orphans")
    assert await foreground.end(signal.SIGTERM) == 0


async def test_a_second_signal_does_not_wait_for_a_child_that_will_not_stop(
    settings: Settings, until: Until, alive: Callable[[int], bool], tmp_path: Path, api_argv: list[str]
) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(f"import signal; signal.signal(15, signal.SIG_IGN)\n{Path(api_argv[1]).read_text()}")
    foreground = Foreground(settings, [sys.executable, str(stubborn)], until)
    run = await foreground.start()
    assert foreground.process is not None
    foreground.process.send_signal(signal.SIGINT)
    await until(lambda: "stopping" in foreground.output.read_text(), "the first Ctrl-C to be seen")
    began = asyncio.get_running_loop().time()

    def ended_by_another_ctrl_c() -> bool:
        if foreground.runs and foreground.process is not None:
            foreground.process.send_signal(signal.SIGINT)
        return not foreground.runs

    await until(ended_by_another_ctrl_c, "the end")
    assert asyncio.get_running_loop().time() - began < 10
    assert not [pid for pid in run.pids.values() if alive(pid)]
