"""Claims about how servers are found, downloaded and built."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from devenv.errors import StackError
from devenv.processes.process import silent
from devenv.servers import binaries
from devenv.servers.binaries import build, cache_held, draft
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.time_skipping import time_skipping_server

Until = Callable[..., Awaitable[None]]


async def no_download(*_: object) -> str:
    return "no internet"


async def test_a_named_temporal_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="REMIT_TEMPORAL_CLI names"):
        await temporal_binary(tmp_path, silent, tmp_path / "nothing")


async def test_without_download_or_go_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_download", no_download)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"Install Go .* REMIT_TEMPORAL_CLI"):
        await temporal_binary(tmp_path / "cache", silent)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


async def test_without_download_or_java_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_download", no_download)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"`java` and `mvn` .* Install Java"):
        await time_skipping_server(tmp_path / "cache")


async def test_only_one_process_at_a_time_fills_the_cache(tmp_path: Path, until: Until) -> None:
    output: list[str] = []
    filled: list[str] = []

    async def fill() -> None:
        async with cache_held(tmp_path, output.append):
            filled.append("second")

    async with cache_held(tmp_path, silent):
        second = asyncio.create_task(fill())
        await until(lambda: output, "the second one to say that it waits")
        filled.append("first")
    await second
    assert filled == ["first", "second"]


async def test_a_failed_build_shows_its_last_lines_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "target.killed-before").mkdir()
    argv, log = [sys.executable, "-c", "raise SystemExit('no such module')"], tmp_path / "log"
    failure = r"building failed \(exit code 1\)[^$]*no such module"
    with pytest.raises(StackError, match=failure), draft(tmp_path / "target") as folder:
        await build("building", argv, folder=folder, log=log, env={}, limit_seconds=20, say=silent, progress=str)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


async def test_a_build_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(StackError, match="took longer than"):
        await build(
            "building", argv, folder=tmp_path, log=tmp_path / "log", env={}, limit_seconds=0.2, say=silent, progress=str
        )
