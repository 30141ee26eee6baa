"""How workflows run a step: as a local activity, and if that gives no answer, as a regular one.

A local activity costs a third of a regular one, but operators see only its marker, once it has an answer. So a step
gets one short local attempt. Without an answer it goes on as a regular activity, whose attempts and last failure
operators see. Both attempts may run to their end: the ledger answers the second with the effect of the first.
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


class WaitCancelled(Exception):
    """Somebody cancelled while a step was in doubt. The step may still happen: only the ledger knows."""


@dataclass
class Attention:
    """Whether a step needs people's attention, and what people requested.

    `show` is called whenever a step falls in doubt, needs attention, or no longer needs it. A step in doubt for
    `stuck_after`, or up to twice as long, needs attention; it is retried meanwhile and may still succeed without
    anyone.
    """

    show: Callable[[], None]
    stuck_after: timedelta = field(default=policies.STUCK_AFTER)
    in_doubt: bool = False
    stuck: bool = False
    cancel_requested: bool = False
    retry_now: bool = False

    def note_cancellation(self) -> None:
        """The workflow acts on it between steps, or during a cancellable step."""
        self.cancel_requested = True

    def is_answered(self) -> None:
        """No step is in doubt any more."""
        self.in_doubt = self.retry_now = False
        if self.stuck:
            self.mark(stuck=False)

    def mark(self, *, stuck: bool) -> None:
        """Set or clear the need for attention."""
        self.stuck = stuck
        self.show()


def refusal_in(error: FailureError) -> Failure | None:
    """The refusal, or the forbidden step, in a step's error. None: the step is in doubt.

    A regular activity's error wraps its cause; a local one's arrives without a wrapper.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError) and cause.non_retryable and cause.type:
        return Failure(cause.type, cause.message, *cause.details[:1])
    return None


def refused_update(refusal: Failure) -> str:
    """What begins the current details after the update in hand was refused: history calls it completed like any other.

    It comes first, because the Web UI shows about four lines. The reason is in code marks: the Web UI renders Markdown,
    which would turn `_` of ids and `$` of amounts, or whatever somebody typed as their name, into something else.
    """
    update = workflow.current_update_info()
    name = update.name if update else "update"
    marks = "`"
    while marks in refusal.message:
        marks += "`"
    return f"REFUSED the last `{name}` ({refusal.code}): {marks}{refusal.message}{marks} "


def begin_locally(step: Callable[..., Awaitable[Answer]], *arguments: Any) -> "asyncio.Task[Answer]":
    """Begin a step's local attempt. `local_first` takes it as `begun`; an answer that nobody needs may be dropped."""
    attempt = workflow.start_local_activity(
        step, args=arguments, start_to_close_timeout=policies.LOCAL_ATTEMPT, retry_policy=policies.ONCE
    )
    attempt.add_done_callback(lambda done: done.cancelled() or done.exception())
    return attempt


async def local_first(
    step: Callable[..., Awaitable[Answer]],
    *arguments: Any,
    summary: str,
    attention: Attention,
    begun: "asyncio.Task[Answer] | None" = None,
    cancellable: bool = False,
    retry: RetryPolicy = policies.UNTIL_ANSWERED,
    budget: timedelta | None = None,
) -> Answer:
    """The step's answer. Raises a `FailureError` with a refusal in it, or once `budget` (default: none) is used up.

    The workflow remembers a cancellation and acts on it after the step. A step that is `cancellable`, because it moves
    no money or because the ledger decides whether it did, raises `WaitCancelled` instead once it is in doubt.
    """

    async def attempt_locally() -> Answer:
        return await to_its_end(begin_locally(step, *arguments), attention.note_cancellation)

    try:
        return await (to_its_end(begun, attention.note_cancellation) if begun else attempt_locally())
    except FailureError as error:
        if refusal_in(error):
            raise
    if cancellable and attention.cancel_requested:
        raise WaitCancelled
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
    # another workflow too, and would then write that workflow's search attributes.
    try:
        answer = await _watched(regular, attempt_locally, attention, cancellable=cancellable)
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
    cancellable: bool,
) -> Answer:
    """The answer of a step in doubt. Meanwhile people may have it retried at once, or cancel it."""

    def something_happened() -> bool:
        return regular.done() or attention.retry_now or (cancellable and attention.cancel_requested)

    # Where thousands wait for one account, they would ask for attention all at once, and each costs Temporal more than
    # a plain transfer does. So they ask one after the other.
    patience: timedelta | None = attention.stuck_after * (1 + workflow.random().random())
    while not regular.done():
        try:
            await workflow.wait_condition(
                something_happened, timeout=patience, timeout_summary="Until this step needs attention"
            )
        except TimeoutError:
            patience = None
            attention.mark(stuck=True)
        except asyncio.CancelledError:
            attention.note_cancellation()
        if cancellable and attention.cancel_requested and not regular.done():
            _abandon(regular)
            raise WaitCancelled
        if attention.retry_now and not regular.done():
            attention.retry_now = False
            if answered := await _answered_now(attempt_locally):
                _abandon(regular)
                return answered.result()
    return regular.result()


def _abandon(regular: "asyncio.Future[Answer]") -> None:
    """Stop waiting for a step. Its answer, whatever it is, is dropped."""
    regular.add_done_callback(lambda done: done.cancelled() or done.exception())
    regular.cancel()


async def _answered_now(attempt_locally: Callable[[], Awaitable[Answer]]) -> "asyncio.Future[Answer] | None":
    """One more local attempt that has its answer or refusal, or None if the step is still in doubt."""
    attempt = asyncio.ensure_future(attempt_locally())
    try:
        await attempt
    except FailureError as error:
        if not refusal_in(error):
            return None
    return attempt


async def to_its_end(step: Awaitable[Answer], on_cancel: Callable[[], None]) -> Answer:
    """The step's answer, also when the workflow is cancelled meanwhile: that is only reported to `on_cancel`.

    By default Temporal stops waiting for a cancelled activity at once. A compensation would then overtake a debit that
    is still running.
    """
    running = asyncio.ensure_future(step)
    while True:
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            on_cancel()
