"""The `remit` command as a process of its own, with an environment of its own."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from tests.orders import FINGERPRINT_KEY

ROOT = Path(__file__).resolve().parents[2]

# A process of ours loads in a few seconds. Beside others on a busy machine that takes many times as long.
STARTS_WITHIN_SECONDS = 90


async def started(*arguments: str, **variables: str) -> asyncio.subprocess.Process:
    """The command, started; of our settings it has the key of the tests and those given only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *arguments),
        cwd=ROOT,
        env=kept | {"REMIT_FINGERPRINT_KEYS": FINGERPRINT_KEY} | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def remit(*arguments: str, **variables: str) -> tuple[int, str, list[str]]:
    """Exit code, what it printed, and the lines of what it said."""
    command = await started(*arguments, **variables)
    printed, output = await command.communicate()
    assert command.returncode is not None
    return command.returncode, printed.decode(), output.decode().splitlines()


async def ended(process: asyncio.subprocess.Process) -> str:
    """End the process, within 30 s. What it said on stderr that nobody has read."""
    with suppress(ProcessLookupError):
        process.terminate()
    _, output = await asyncio.wait_for(process.communicate(), 30)
    return output.decode()
