"""What every part of a transfer's workflow shares: how it runs a step, and what operators see of it in Temporal."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ApplicationError, FailureError

from ledger.refusals import REFUSAL_CODES
from ledger.transfers import Failure, Standing, State, Step, TransferOrder
from workflows import policies
from workflows.search_attributes import NEEDS_ATTENTION, TRANSFER_STATE
from workflows.step_execution import Attention, local_first, refusal_in, refused_update

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")


class StepRefused(Exception):
    """A rule refuses the step: a refusal of `REFUSALS`, which ends the transfer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class StepForbidden(Exception):
    """The rows of the transfer forbid the step, so they are not as this execution knew them.

    Another execution moved the transfer, or the books were restored to an earlier state. Read the row again.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _no(failure: Failure) -> StepRefused | StepForbidden:
    return StepRefused(failure) if failure.code in REFUSAL_CODES else StepForbidden(failure)


class TransferExecution:
    """One execution of a transfer's workflow: its state as of the last step, and the attention that it needs."""

    def __init__(self, order: TransferOrder) -> None:
        self.order = order
        self.key = Step(order.transfer_id, order.attempt, order.source_account_id)
        self.state = State.INITIATED
        self.attention = Attention(show=self.publish)
        self._details = ""
        self._refused = ""
        self._published: tuple[State, bool] = (State.INITIATED, False)

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked to cancel, in Temporal or by `give_back`. The ledger decides what that can do."""
        return self.attention.cancel_requested

    def owns(self, standing: Standing) -> bool:
        """Whether this is about the execution's own attempt: not another one, nor an earlier equal deposit."""
        return standing.duplicate_of is None and standing.attempt == self.order.attempt

    async def run(
        self,
        step: Callable[[Argument], Awaitable[Answer]],
        argument: Argument,
        details: str,
        *,
        begun: "asyncio.Task[Answer] | None" = None,
        cancellable: bool = False,
    ) -> Answer:
        """The step's answer, with `details` shown meanwhile. Raises `StepRefused` and `StepForbidden`, never in doubt.

        A `cancellable` step in doubt raises `WaitCancelled` when somebody cancels; it may still happen.
        """
        self.describe(details)
        try:
            return await local_first(
                step,
                argument,
                summary=f"{step.__name__.replace('_', ' ').capitalize()}: {self.order.amount}",
                attention=self.attention,
                begun=begun,
                cancellable=cancellable,
            )
        except FailureError as error:
            if refusal := refusal_in(error):
                raise _no(refusal) from error
            raise

    async def record(self, step: Callable[..., Awaitable[Answer]], *arguments: object) -> Answer:
        """Record what the current update requests, before acting on it. Refused, the update fails with the reason.

        It does not count as a step in doubt: an operator who waits for its answer sees that it has none yet.
        """
        quiet = Attention(show=lambda: None, stuck_after=policies.NOTIFICATION_BUDGET)
        summary = f"Record: {self.order.amount}"
        try:
            return await local_first(step, *arguments, summary=summary, attention=quiet)
        except FailureError as error:
            if refusal := refusal_in(error):
                self._refused = refused_update(refusal)
                self._show_details()
                raise ApplicationError(refusal.message, type=refusal.code) from error
            raise

    async def wait_until(
        self, condition: Callable[[], bool], within: timedelta | None = None, summary: str | None = None
    ) -> bool:
        """False if the time runs out first. A cancellation ends the wait and is kept for the next step."""
        if condition():
            return True
        if within is not None and within <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(condition, timeout=within, timeout_summary=summary)
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            self.attention.note_cancellation()
        return True

    @property
    def details(self) -> str:
        """What operators read as the workflow's current details."""
        return self._details

    def describe(self, details: str) -> None:
        """Set the current details. They no longer tell of an update that was refused before."""
        self._details, self._refused = details, ""
        workflow.set_current_details(details)

    def publish(self) -> None:
        """Write the state and the need for attention to the search attributes, where they changed.

        Each write costs Temporal a transaction, so only a wait and the end publish, not every step.
        """
        is_stuck = self.attention.stuck
        if is_stuck or self._published[1]:
            self._show_details()
        if self._published != (self.state, is_stuck):
            changes: list[SearchAttributeUpdate[Any]] = [TRANSFER_STATE.value_set(self.state)]
            if is_stuck != self._published[1]:
                changes.append(NEEDS_ATTENTION.value_set(is_stuck))
            if is_stuck != self._published[1]:
                self._log(is_stuck=is_stuck)
            self._published = (self.state, is_stuck)
            workflow.upsert_search_attributes(changes)

    def _show_details(self) -> None:
        if not self.attention.stuck:
            workflow.set_current_details(f"{self._refused}{self._details}")
            return
        workflow.set_current_details(
            f"{self._refused}NEEDS ATTENTION. {self._details} The step has no answer yet and is retried; see Pending "
            "Activities for why. To act, send the update `retry_now`, or `give_back` while the amount is not delivered."
        )

    def _log(self, *, is_stuck: bool) -> None:
        """A line for alerts when a step begins to need attention, and one when it has its answer."""
        fields = {"transfer_id": self.order.transfer_id, "state": self.state}
        if is_stuck:
            workflow.logger.warning("needs attention: %s", self._details, extra=fields)
        else:
            workflow.logger.info("healed: the step that needed attention has its answer", extra=fields)
