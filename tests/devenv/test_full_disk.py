"""The supervisor while the disk that holds its home is full."""

import os
import signal
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

from devenv.home import live_run
from devenv.stack import Stack
from settings import Settings
from tests.full_disks import SmallDisk, small_disk

pytestmark = pytest.mark.system

Until = Callable[..., Awaitable[None]]


@pytest.fixture
def disk(settings: Settings) -> Iterator[SmallDisk]:
    with small_disk(settings.home) as disk:
        yield disk


async def nothing_to_prepare(_database_url: str, _temporal_address: str) -> None:
    """The stand-in for the API needs no tables."""


async def test_a_child_that_dies_while_the_disk_is_full_is_started_again_and_recorded_once_there_is_space(
    settings: Settings, api_argv: list[str], until: Until, disk: SmallDisk
) -> None:
    alone = settings.model_copy(
        update={"database_url": "postgresql://remit@127.0.0.1:1/remit", "temporal_address": "127.0.0.1:1"}
    )
    output: list[str] = []

    def say(line: str) -> None:
        output.append(line)
        raise OSError("No space left on device")

    async with Stack(alone, nothing_to_prepare, api_argv=api_argv, say=say).running() as running:
        first = running.pids["api"]
        disk.fill()

        async def serves() -> bool:
            try:
                async with httpx.AsyncClient(trust_env=False) as http:
                    return (await http.get(running.api_url)).status_code == 200
            except httpx.HTTPError:
                return False

        for _ in range(2):
            dead = running.pids["api"]
            os.kill(dead, signal.SIGKILL)
            await until(lambda dead=dead: running.pids.get("api", dead) != dead, "a new pid")
            await until(serves, "the API is back")
        recorded = live_run(settings.home)
        assert recorded is not None
        assert recorded.pids == {"api": first}
        assert [line for line in output if "cannot be recorded" in line]

        disk.empty()
        await until(lambda: live_run(settings.home).pids == running.pids, "the new pid in run.json")  # type: ignore[union-attr]
        await until(lambda: [line for line in output if "recorded again" in line], "it is said")
