"""How workflows run a step: locally first, and then, if that gave no answer, where operators can see it.

A local activity costs a third of a regular one, but an operator sees only its marker. So a step gets one short local
attempt; on anything but an answer it goes on as a regular activity, with its attempts and last failure in the Web UI.
Both may run to their end: the ledger makes the second one answer with the first one's effect.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from ledger.transfers import Failure
from workflows import policies

Answer = TypeVar("Answer")


def answer_in(error: FailureError) -> Failure | None:
    """The "no" in a step's error: a refusal or a forbidden step. None: the step is in doubt.

    A regular activity's error wraps its cause; a local one's arrives bare.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError) and cause.non_retryable and cause.type:
        return Failure(cause.type, cause.message)
    return None


async def local_first(
    step: Callable[..., Awaitable[Answer]],
    *arguments: Any,
    summary: str,
    in_doubt: Callable[[], None],
    on_cancel: Callable[[], None],
    interruptible: bool = False,
    retry: RetryPolicy = policies.UNTIL_ANSWERED,
    budget: timedelta | None = None,
) -> Answer:
    """The step's answer. Raises a `FailureError` with a refusal in it, or once `budget` (default: none) is used up.

    `in_doubt` is called when the local attempt gave no answer and the wait becomes visible. A cancellation is told to
    `on_cancel` and waits for the step; an `interruptible` step, one that moves no money, is left after its local
    attempt, with the cancellation raised.
    """
    cancelled = False

    def note_cancellation() -> None:
        nonlocal cancelled
        cancelled = True
        on_cancel()

    local = workflow.execute_local_activity(
        step, args=arguments, start_to_close_timeout=policies.LOCAL_ATTEMPT, retry_policy=policies.ONCE
    )
    try:
        return await to_its_end(local, note_cancellation)
    except FailureError as error:
        if answer_in(error):
            raise
    if cancelled and interruptible:
        raise asyncio.CancelledError
    in_doubt()
    regular = workflow.execute_activity(
        step,
        args=arguments,
        start_to_close_timeout=policies.REGULAR_ATTEMPT,
        schedule_to_close_timeout=budget,
        retry_policy=retry,
        summary=summary,
    )
    return await (regular if interruptible else to_its_end(regular, note_cancellation))


async def to_its_end(step: Awaitable[Answer], on_cancel: Callable[[], None]) -> Answer:
    """Await a step that must not be left half way: a cancellation meanwhile is only reported to `on_cancel`.

    Left to its default, Temporal stops waiting for a cancelled activity at once, and a compensation overtakes the
    debit that is still running.
    """
    running = asyncio.ensure_future(step)
    while True:
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            on_cancel()
