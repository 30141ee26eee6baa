"""What every command shares: how it runs a coroutine, what it tells the person at the terminal, and how it fails."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the coroutine to its end on an event loop of its own."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def say(line: str) -> None:
    """Tell the person at the terminal, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - what a person at a terminal reads


def fail(line: str, status: int = 1) -> NoReturn:
    """Say why, and end with this exit code."""
    say(line)
    raise SystemExit(status)
