"""The executor of workflow tasks: everything runs on the thread of the event loop, one task after another."""

import asyncio
import threading
from typing import Any

import pytest

from workflows.task_executor import EventLoopExecutor


async def test_a_workflow_task_runs_on_the_event_loops_thread() -> None:
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(EventLoopExecutor(), threading.get_ident) == threading.get_ident()


async def test_a_workflow_task_that_leaves_no_running_loop_behind_does_not_disturb_the_worker() -> None:
    def activate() -> str:
        asyncio._set_running_loop(None)  # noqa: SLF001 - as an event loop does that ends
        return "activated"

    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(EventLoopExecutor(), activate) == "activated"
    assert asyncio.get_running_loop() is loop


async def test_an_error_of_a_workflow_task_reaches_whoever_awaits_it() -> None:
    def activate() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError):
        await asyncio.get_running_loop().run_in_executor(EventLoopExecutor(), activate)


async def test_a_workflow_task_that_is_cancelled_before_it_begins_does_not_run() -> None:
    loop = asyncio.get_running_loop()
    ran: list[str] = []
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, error: errors.append(error))
    try:
        future = EventLoopExecutor().submit(ran.append, "workflow")
        assert future.cancel()
        turn_is_over = loop.create_future()
        loop.call_soon(turn_is_over.set_result, None)
        await turn_is_over
    finally:
        loop.set_exception_handler(None)
    assert (ran, errors) == ([], [])


async def test_a_workflow_task_waits_for_the_next_turn_of_the_event_loop() -> None:
    """Python 3.14 enters no task while another one of the same thread is in the middle of a step."""
    ran: list[str] = []
    running = asyncio.get_running_loop().run_in_executor(EventLoopExecutor(), ran.append, "workflow")
    ran.append("caller")
    await running
    assert ran == ["caller", "workflow"]
