"""A transfer's review as its workflow waits for it: reviewers decide by an update, or the deadline passes."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from ledger.refusals import ReviewExpired, ReviewRejected
from ledger.transfers import Failure, State
from reviews.review import Decision, Review, Ruling, objection_to_decision, outcome, progress
from workflows import steps
from workflows.transfer.execution import StepRefused, TransferExecution


class TransferReview:
    """The decisions about one transfer. Those that come before the review begins are kept for it."""

    def __init__(self, execution: TransferExecution) -> None:
        self._execution = execution
        self._is_over = False
        self._pending: list[Decision] = []
        self._decisions: list[Decision] = []
        self._show_progress: Callable[[], None] | None = None

    def close(self) -> None:
        """From now on decisions come too late: the transfer goes on to its debit or to its end."""
        self._is_over = True

    def check_open(self) -> None:
        """Raises `ApplicationError` once it is too late to decide."""
        state = self._execution.state
        if self._is_over or state not in (State.INITIATED, State.IN_REVIEW):
            raise ApplicationError(f"It is too late to decide: the transfer is {state}.", type="too_late")

    def objection_to(self, decision: Decision) -> str | None:
        """Why this decision cannot be taken, before it is recorded."""
        return objection_to_decision(decision, self._execution.order.owner_id, self._pending)

    def receive(self, decision: Decision) -> None:
        """A second decision by the same reviewer is refused from now on, while this one is still being recorded."""
        self._pending.append(decision)

    async def record(self, decision: Decision) -> Decision:
        """Record a received decision under its reviewer's id, then count it. Raises where it is refused or too late."""
        try:
            recorded = await self._execution.record(steps.record_decision, self._execution.key, decision)
            if all(counted.decider != recorded.decider for counted in self._decisions):
                self.check_open()  # the transfer may have gone on while the decision was recorded
        except FailureError:
            self.withdraw(decision)
            raise
        self._decisions.append(recorded)
        if self._show_progress:
            self._show_progress()
        return recorded

    def withdraw(self, decision: Decision) -> None:
        """The decision was not taken: the reviewer may send another one."""
        self._pending.remove(decision)

    async def wait(self) -> Failure | None:
        """Begin the review, or find it begun, and wait for its outcome: why the transfer may not go on, or None.

        A cancellation ends the wait.
        """
        execution = self._execution
        try:
            review: Review = await execution.run(
                steps.begin_review, execution.order, "Review begins. No money has moved."
            )
        except StepRefused:
            return None  # another execution moved the transfer: the next step reads where to
        known = {decision.decider for decision in review.decisions}
        self._decisions = review.decisions + [made for made in self._decisions if made.decider not in known]
        execution.state = review.standing.state
        execution.publish()
        if not await self._decided_in_time(review):
            return None if execution.is_cancelled else ReviewExpired().failure
        return ReviewRejected().failure if outcome(self._decisions, review.terms) is Ruling.REJECT else None

    async def _decided_in_time(self, review: Review) -> bool:
        """Whether reviewers decided before the deadline. They are reminded once on the way.

        Deadline and reminder count from when the review began, in whichever execution that was.
        """
        execution, terms = self._execution, review.terms
        began = workflow.now() - timedelta(seconds=review.elapsed_seconds)
        deadline = began + timedelta(seconds=terms.deadline_seconds)
        remind_at = began + timedelta(seconds=terms.remind_after_seconds)
        self._show_progress = lambda: execution.describe(
            f"In review until {deadline:%Y-%m-%d %H:%M} UTC: {progress(self._decisions, terms)} No money has moved."
        )
        self._show_progress()

        def is_decided() -> bool:
            return execution.is_cancelled or outcome(self._decisions, terms) is not None

        wait_until = execution.wait_until
        try:
            if await wait_until(is_decided, min(remind_at, deadline) - workflow.now(), "Until reviewers are reminded"):
                return not execution.is_cancelled
            if remind_at < deadline:
                await execution.run(steps.remind_reviewers, execution.order, execution.details)
                if await wait_until(is_decided, deadline - workflow.now(), "Until the review expires"):
                    return not execution.is_cancelled
            return False
        finally:
            self._show_progress = None
