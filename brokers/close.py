"""Ends connections to brokers that may be gone: nobody waits for their answer."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

CLOSE_SECONDS = 2


async def closed_soon(closing: Awaitable[object]) -> None:
    """Wait a moment for the end of a connection. Its errors are those of the connection, and told before."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing
