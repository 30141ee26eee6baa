"""How workflows run a step: locally first, and then, if that gave no answer, where operators can see it.

A local activity costs a third of a regular one, but an operator sees only its marker. So a step gets one short local
attempt; on anything but an answer it goes on as a regular activity, with its attempts and last failure in the Web UI.
Both may run to their end: the ledger makes the second one answer with the first one's effect.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from ledger.transfers import Failure
from workflows import policies

Answer = TypeVar("Answer")


class Left(Exception):
    """The wait for a step ended at somebody's request. Whether the step happened is in doubt: the ledger knows."""


@dataclass
class Attention:
    """What stands between a workflow's steps and the people who watch them.

    `show` is called whenever a step falls in doubt, needs attention, or needs it no more. A step in doubt for
    `stuck_after` needs attention; it is retried all the while and heals by itself. `cancel_requested` and `retry_now`
    are what people asked for.
    """

    show: Callable[[], None]
    stuck_after: timedelta = field(default=policies.STUCK_AFTER)
    in_doubt: bool = False
    stuck: bool = False
    cancel_requested: bool = False
    retry_now: bool = False

    def note_cancellation(self) -> None:
        """Answered between steps, or where a step may be left."""
        self.cancel_requested = True

    def is_answered(self) -> None:
        """No step is in doubt any more."""
        self.in_doubt = self.retry_now = False
        if self.stuck:
            self.mark(stuck=False)

    def mark(self, *, stuck: bool) -> None:
        """Raise the flag, or take it down."""
        self.stuck = stuck
        self.show()


def answer_in(error: FailureError) -> Failure | None:
    """The "no" in a step's error: a refusal or a forbidden step. None: the step is in doubt.

    A regular activity's error wraps its cause; a local one's arrives bare.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError) and cause.non_retryable and cause.type:
        return Failure(cause.type, cause.message)
    return None


async def locally(
    step: Callable[..., Awaitable[Answer]],
    *arguments: Any,
    attention: Attention,
    within: timedelta = policies.LOCAL_ATTEMPT,
) -> Answer:
    """One short local attempt. Raises a `FailureError`: a refusal (see `answer_in`), or no answer at all."""
    attempt = workflow.execute_local_activity(
        step, args=arguments, start_to_close_timeout=within, retry_policy=policies.ONCE
    )
    return await to_its_end(attempt, attention.note_cancellation)


async def local_first(
    step: Callable[..., Awaitable[Answer]],
    *arguments: Any,
    summary: str,
    attention: Attention,
    is_in_doubt: bool = False,
    may_be_left: bool = False,
    retry: RetryPolicy = policies.UNTIL_ANSWERED,
    budget: timedelta | None = None,
) -> Answer:
    """The step's answer. Raises a `FailureError` with a refusal in it, or once `budget` (default: none) is used up.

    One that `is_in_doubt` has had its local attempt. A cancellation is noted and waits for the step. A step that
    `may_be_left`, because it moves no money or because the ledger decides whether it did, is left with `Left` when it
    is in doubt.
    """

    async def attempt_locally() -> Answer:
        return await locally(step, *arguments, attention=attention)

    if not is_in_doubt:
        try:
            return await attempt_locally()
        except FailureError as error:
            if answer_in(error):
                raise
    if may_be_left and attention.cancel_requested:
        raise Left
    attention.in_doubt = True
    attention.show()
    regular = asyncio.ensure_future(
        workflow.execute_activity(
            step,
            args=arguments,
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            schedule_to_close_timeout=budget,
            retry_policy=retry,
            summary=summary,
        )
    )
    # Not `finally`: a coroutine that is dropped with its worker is closed wherever the garbage collector runs, inside
    # of another workflow too, and would speak there.
    try:
        answer = await _watched(regular, attempt_locally, attention, may_be_left=may_be_left)
    except Exception:
        attention.is_answered()
        raise
    attention.is_answered()
    return answer


async def _watched(
    regular: "asyncio.Future[Answer]",
    attempt_locally: Callable[[], Awaitable[Answer]],
    attention: Attention,
    *,
    may_be_left: bool,
) -> Answer:
    """The answer of a step in doubt, while people may look at it, have it tried at once, or give it up."""

    def something_happened() -> bool:
        return regular.done() or attention.retry_now or (may_be_left and attention.cancel_requested)

    patience: timedelta | None = attention.stuck_after
    while not regular.done():
        try:
            await workflow.wait_condition(
                something_happened, timeout=patience, timeout_summary="Until this needs attention"
            )
        except TimeoutError:
            patience = None
            attention.mark(stuck=True)
        except asyncio.CancelledError:
            attention.note_cancellation()
        if may_be_left and attention.cancel_requested and not regular.done():
            _let_go(regular)
            raise Left
        if attention.retry_now and not regular.done():
            attention.retry_now = False
            if answered := await _answered_now(attempt_locally):
                _let_go(regular)
                return answered.result()
    return regular.result()


def _let_go(regular: "asyncio.Future[Answer]") -> None:
    """Stop waiting. However it ends, nobody asks for its answer any more."""
    regular.add_done_callback(lambda done: done.cancelled() or done.exception())
    regular.cancel()


async def _answered_now(attempt_locally: Callable[[], Awaitable[Answer]]) -> "asyncio.Future[Answer] | None":
    """One more local attempt: its answer, yes or no, or None where there is still none."""
    attempt = asyncio.ensure_future(attempt_locally())
    try:
        await attempt
    except FailureError as error:
        if not answer_in(error):
            return None
    return attempt


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
