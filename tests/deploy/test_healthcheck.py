"""The health checks inside the image: what they say, they say by their exit code."""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from devenv.servers.temporal_server import TemporalServer

pytestmark = pytest.mark.system

CHECK = Path(__file__).resolve().parents[2] / "deploy" / "healthcheck.py"
AT_ONCE = 4


async def exit_code(*arguments: str, **settings: str) -> tuple[int | None, str]:
    """And what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHECK), *arguments),
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, output = await process.communicate()
    return process.returncode, output.decode()


async def test_a_check_of_a_worker_ends_with_its_answer_also_on_a_busy_machine(temporal: TemporalServer) -> None:
    asked = {"REMIT_TEMPORAL_ADDRESS": temporal.address, "REMIT_TASK_QUEUE": "nobody-asks"}
    answers = await asyncio.gather(*(exit_code("worker", **asked) for _ in range(AT_ONCE)))
    assert Counter(code for code, _ in answers) == {1: AT_ONCE}, answers
    # A machine can be so busy that Temporal's answer comes too late, which is an answer, too.
    assert all(output.startswith(("no worker of @", "Temporal does not answer")) for _, output in answers), answers


async def test_a_check_of_an_api_that_does_not_answer_fails_with_the_reason() -> None:
    code, output = await exit_code("api", REMIT_API_PORT="1")
    assert (code, output.startswith("/health does not answer")) == (1, True)
