"""Where workflow tasks run: on the thread of the worker's event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


class EventLoopExecutor(ThreadPoolExecutor):
    """Runs what the SDK would run on a thread of its own, in the next turn of the event loop.

    By default each task of a workflow changes to another thread and back, and waits for the interpreter lock both
    times. A task of ours takes about a millisecond. The price is the SDK's deadlock detection: a workflow that blocks
    would block its process. The detection counts the time of the clock, so on a busy machine it also ends tasks that
    only wait for the processor. The tests find blocking calls by the sandbox, and endless loops by their time limit. A
    task whose future is cancelled before it begins does not run.
    """

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Call it from the event loop's thread only, as the SDK does, through `run_in_executor`.

        Returns a future of the event loop, which `run_in_executor` passes on as it is. One for several threads would
        cost locks, callbacks in both directions and another turn of the loop.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the SDK decides, as with a thread
                future.set_exception(error)
            finally:
                # A workflow has an event loop of its own, which leaves no running loop behind.
                asyncio._set_running_loop(loop)  # noqa: SLF001 - documented for implementers of event loops

        loop.call_soon(run)
        return future  # type: ignore[return-value]
