"""The steps around what people decide and ask for. No money moves here."""

import structlog
from temporalio import activity

from activities.refusals import refusals_as_answers
from ledger.postgres.book import Book
from ledger.transfers import Step, TransferOrder
from reviews.postgres import Reviews
from reviews.review import Decision, Review, ReviewPolicy
from staff.instructions import Instruction

log = structlog.get_logger()


class ReviewSteps:
    """Reviews on the terms of one policy."""

    def __init__(self, book: Book, policy: ReviewPolicy) -> None:
        self._book = book
        self._reviews = Reviews(book.database)
        self._policy = policy

    @activity.defn
    async def begin_review(self, order: TransferOrder) -> Review:
        """Let the transfer wait in `in_review`. A repeat finds the review as it began, and what was decided since."""
        with refusals_as_answers():
            return await self._reviews.begin(Step(order.transfer_id, order.attempt), self._policy.terms(order))

    @activity.defn
    async def record_decision(self, step: Step, decision: Decision, request: str) -> Decision:
        """Keep a reviewer's word for good, under their id. A repeat of the request gets the same answer.

        Refuses as `not_staff` whoever is no operator or admin, as `conflict_of_interest` a party of the transfer, and
        as `decided_already` a second word of one person.
        """
        with refusals_as_answers():
            return await self._reviews.write_decision(step, decision, request)

    @activity.defn
    async def record_instruction(self, step: Step, action: str, instruction: Instruction, request: str) -> None:
        """Keep what one of the staff asked for, once a request.

        Refuses everybody else as `not_staff`, a party of the transfer as `conflict_of_interest`, and as
        `UnknownTransfer` where the transfer has no row yet.
        """
        with refusals_as_answers():
            await self._reviews.write_instruction(step, action, instruction, request)

    @activity.defn
    async def remind_reviewers(self, order: TransferOrder) -> None:
        """A warning in the log, which alerts are made of. Once an attempt, however often the workflow runs."""
        async with self._reviews.reminding(Step(order.transfer_id, order.attempt)) as first:
            if first:
                log.warning(
                    "review still waits for a decision", transfer_id=order.transfer_id, workflow_id=order.workflow_id
                )
