"""A transfer's review as its workflow waits for it: until its rows say that it is decided, or the deadline passes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow

from ledger.transfers import Failure
from reviews.review import Review
from workflows import policies, steps
from workflows.transfer.execution import TransferExecution


class TransferReview:
    """Waits for the decisions about one transfer. They are rows: the workflow reads them and keeps none itself.

    So a reset, a lost nudge or a worker that dies forgets no decision.
    """

    def __init__(self, execution: TransferExecution) -> None:
        self._execution = execution
        self._has_changed = False
        self._about = ""

    def note_change(self) -> None:
        """A decision was recorded: read the rows again."""
        self._has_changed = True

    async def wait(self, rules: Sequence[str]) -> Failure | None:
        """Begin the review, which these rules ask for, or find it begun, and wait until it is over.

        The answer says why the transfer may not go on, or None.

        A cancellation ends the wait. Raises `StepForbidden` if the rows have no such review: None would let a transfer
        pass that nobody has reviewed.
        """
        execution = self._execution
        review = await execution.run(steps.begin_review, execution.order, "Review begins. No money has moved.")
        execution.state = review.standing.state
        self._about = _about(review, rules)
        execution.publish()
        review = await self._read_until_over(review)
        return None if execution.is_cancelled else review.failure

    async def _read_until_over(self, review: Review) -> Review:
        """Read the rows when a decision is recorded, at an interval, and at the deadline, which may expire the review.

        Deadline and reminder count from when the review began, in whichever execution that was.
        """
        execution, terms = self._execution, review.terms
        began = workflow.now() - timedelta(seconds=review.elapsed_seconds)
        deadline = began + timedelta(seconds=terms.deadline_seconds)
        remind_at: datetime | None = began + timedelta(seconds=terms.remind_after_seconds)
        interval = max(policies.REVIEW_READ_INTERVAL, (deadline - began) / policies.MOST_REVIEW_READS)
        # A later attempt may be in review by then: that is its own workflow's to wait for.
        while review.is_waiting and execution.owns(review.standing) and not execution.is_cancelled:
            execution.describe(
                f"In review until {deadline:%Y-%m-%d %H:%M} UTC: {review.progress}{self._about} No money has moved."
            )
            next_read = min(deadline, remind_at or deadline, workflow.now() + interval)
            changed = await execution.wait_until(
                lambda: self._has_changed or execution.is_cancelled,
                next_read - workflow.now(),
                "Until the review is read again, its reviewers are reminded, or it expires",
            )
            self._has_changed = False
            if execution.is_cancelled:
                break
            if not changed and workflow.now() >= deadline:
                review = await execution.run(steps.expire_review, execution.key, execution.details)
                continue
            if remind_at and workflow.now() >= remind_at:
                remind_at = None
                await execution.run(steps.remind_reviewers, execution.order, execution.details)
            review = await execution.run(steps.read_review, execution.key, execution.details)
        return review


def _about(review: Review, rules: Sequence[str]) -> str:
    """Why the transfer is in review, and whose it is. A workflow that began during the review does not know why."""
    why = f" Asked for by the rule {', '.join(rules)}." if rules else ""
    return f"{why} Parties: {', '.join(review.parties)}." if review.parties else why
