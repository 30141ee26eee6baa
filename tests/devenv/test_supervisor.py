"""The pauses between the starts of a child that does not come up."""

import os
import signal
import sys
from pathlib import Path

import pytest

from devenv.processes import supervisor
from devenv.processes.process import Child
from devenv.processes.supervisor import Supervisor
from tests.devenv.conftest import Until


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every life counts as a long one, as after a minute."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "STABLE_AFTER_SECONDS", 0.0)


class Failing:
    """A child that comes up once, and then fails to: before there is a process, or as one that is never ready."""

    def __init__(self, folder: Path, *, without_process: bool) -> None:
        self.starts = 0
        self._without_process = without_process
        self.child = Child(
            name="failing",
            argv=[sys.executable, "-c", "import time; time.sleep(60)"],
            env=dict(os.environ),
            log=folder / "failing.log",
            ready=self.ready,
            ready_seconds=1,
            stop_signal=signal.SIGKILL,
            before=self.before,
        )

    async def before(self) -> None:
        self.starts += 1
        if self.starts > 1 and self._without_process:
            raise OSError("No space left on device")

    async def ready(self) -> str | None:
        return None if self.starts == 1 else "it never is"


@pytest.mark.parametrize("without_process", [True, False], ids=["no process", "never ready"])
async def test_the_pauses_of_a_child_that_cannot_be_started_grow_however_long_it_had_lived(
    tmp_path: Path, until: Until, without_process: bool
) -> None:
    output: list[str] = []
    failing = Failing(tmp_path, without_process=without_process)
    supervising = Supervisor(["failing"], record=tmp_path / "record", say=output.append, changed=lambda: None)
    await supervising.start(failing.child)
    try:
        os.kill(supervising.pids["failing"], signal.SIGKILL)
        await until(lambda: failing.starts >= 5, "it was tried again four times")
    finally:
        await supervising.stop()
    pauses = [line.partition(" in ")[2].split()[0] for line in output if "gain in" in line]
    assert pauses[:4] == sorted(set(pauses[:4]), key=float), output
