"""Takes turns with whatever else a process has to do: a thousand events at once would stop its event loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# About a millisecond of work.
AT_ONCE = 100


async def in_turns(items: Sequence[T], at_once: int = AT_ONCE) -> AsyncIterator[Sequence[T]]:
    """The items in their order, some at a time. Between two times all others get a turn."""
    for first in range(0, len(items), at_once):
        if first:
            await asyncio.sleep(0)
        yield items[first : first + at_once]
