"""The steps of a review. Each is safe to repeat, and none moves money."""

from datetime import timedelta

import structlog
from temporalio import activity

from activities.refusals import refusals_as_answers
from ledger.postgres.book import Book
from ledger.transfers import Step, TransferOrder
from reviews.postgres import Reviews
from reviews.review import Decision, Review, ReviewPolicy
from staff.permissions import Channel

log = structlog.get_logger()


class ReviewSteps:
    """Reviews on the terms of one policy."""

    def __init__(self, book: Book, policy: ReviewPolicy, four_eyes_after: timedelta) -> None:
        self._reviews = Reviews(book.database, four_eyes_after)
        self._policy = policy

    @activity.defn
    async def begin_review(self, order: TransferOrder) -> Review:
        """Put the transfer into `in_review`. A repeat returns the same review, with the decisions made since."""
        with refusals_as_answers():
            return await self._reviews.begin(Step(order.transfer_id, order.attempt), self._policy.terms(order))

    @activity.defn
    async def read_review(self, step: Step) -> Review:
        """The review, as its rows record it now. The workflow keeps no copy of its own."""
        with refusals_as_answers():
            return await self._reviews.read(step)

    @activity.defn
    async def expire_review(self, step: Step) -> Review:
        """Fail the transfer, unless its review was decided before. The workflow calls this at the deadline."""
        with refusals_as_answers():
            return await self._reviews.expire(step)

    @activity.defn
    async def record_decision(self, step: Step, decision: Decision) -> Decision:
        """Record a decision that was entered in Temporal, with the same checks as one from the API.

        Refuses a person who is no operator or admin as `not_staff`, a party of the transfer as `conflict_of_interest`,
        another decision of the same person as `decided_already`, a decision after the review as `too_late`, and an
        approval that needs two people by somebody whose role is new as `role_too_young`.
        """
        with refusals_as_answers():
            return (await self._reviews.decide(step, decision, Channel.TEMPORAL)).decision

    @activity.defn
    async def remind_reviewers(self, order: TransferOrder) -> None:
        """Log a warning, for alerts. Once per attempt, however often the workflow runs."""
        async with self._reviews.reminding(Step(order.transfer_id, order.attempt)) as first:
            if first:
                log.warning(
                    "review still waits for a decision", transfer_id=order.transfer_id, workflow_id=order.workflow_id
                )
