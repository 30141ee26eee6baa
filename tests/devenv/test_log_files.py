"""Log files of children: full ones are compressed beside the next, while the child goes on writing."""

import gzip
import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from devenv.processes import log_files, supervisor
from devenv.processes.log_files import OLD_FILES, rotate
from devenv.processes.process import Child
from devenv.processes.supervisor import Supervisor
from tests.devenv.conftest import Until

CHATTY = """
import time
for number in range(10**9):
    print(f"line {number:09}", flush=True)
    time.sleep(0.001)
"""


def old_files(log: Path) -> list[Path]:
    """The oldest first."""
    return sorted(log.parent.glob(f"{log.name}.*.gz"), key=lambda path: -int(path.name.split(".")[-2]))


def written(log: Path) -> list[int]:
    text = b"".join([*(gzip.decompress(path.read_bytes()) for path in old_files(log)), log.read_bytes()])
    return [int(number) for number in re.findall(rb"^line (\d{9})$", text, re.MULTILINE)]


def test_a_full_file_is_emptied_and_what_it_held_is_compressed_beside_it(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", 0) as child:
        for number in range(100):
            child.write(f"line {number:09}\n".encode())
            assert rotate(log, full_bytes=10 * 15) == (number % 10 == 9)
        child.write(b"line 000000100\n")
    assert len(old_files(log)) == OLD_FILES
    assert written(log) == list(range(10, 101)), "the oldest file is gone"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_file_that_was_moved_by_a_run_that_was_killed_is_compressed_by_the_next(tmp_path: Path) -> None:
    log = tmp_path / "temporal.log"
    log.write_text("line 000000001\n")
    (tmp_path / "temporal.log.rotated").write_text("line 000000000\n")
    assert not rotate(log)
    assert written(log) == [0, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporal.log", "temporal.log.1.gz"]


async def test_the_log_of_a_running_child_is_rotated(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ROTATION_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "rotate", partial(log_files.rotate, full_bytes=1_000))
    log = tmp_path / "chatty.log"

    async def ready() -> None:
        return None

    child = Child(
        name="chatty",
        argv=[sys.executable, "-c", CHATTY],
        env=dict(os.environ),
        log=log,
        ready=ready,
        stop_signal=signal.SIGKILL,
    )
    supervising = Supervisor(["chatty"], record=tmp_path / "record", say=print, changed=lambda: None)
    await supervising.start(child)
    try:
        first = supervising.pids["chatty"]
        await until(lambda: len(old_files(log)) >= 3, "three files are full")
        assert supervising.pids["chatty"] == first
    finally:
        await supervising.stop()
    found = written(log)
    assert found == sorted(set(found)), "each line is there once, in its order"
    assert found[0] == 0
