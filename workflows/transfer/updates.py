"""What operators may request of a transfer's workflow: decide about it, retry a stuck step, give the amount back.

Each request is recorded before the workflow acts on it. Updates take any JSON and read it themselves, so that a mistake
is answered by a sentence and not by a converter's trace.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from ledger.transfers import Standing, TransferOrder
from reviews.review import DECISION_EXAMPLE, decision_in
from staff.actions import UPDATE_ANSWERS
from staff.permissions import Action
from staff.update_input import STAFF_REQUEST_EXAMPLE, Unclear, staff_request_in
from workflows import steps
from workflows.transfer.execution import TransferExecution
from workflows.transfer.review import TransferReview


class TransferUpdates:
    """The updates of a transfer's workflow, and what the workflow must know of them."""

    def __init__(self, order: TransferOrder) -> None:
        self._execution = TransferExecution(order)
        self._review = TransferReview(self._execution)
        self._is_open = False
        self._give_backs_in_progress = 0
        self._superseded_by: str | None = None

    @workflow.signal(description="A decision about the transfer was recorded: read the review's rows again.")
    def review_changed(self) -> None:
        """Sent by the API after each decision. A lost one delays the decision until the rows are read anyway."""
        self._review.note_change()

    @workflow.update(
        description="Approve or reject a transfer in review: the id or address of an operator or admin who is no "
        f'party, "approve" or "reject", and the reason. {DECISION_EXAMPLE}'
    )
    async def decide(self, given: Any = None) -> str:
        """Record a reviewer's decision as the API does. One that comes before the review begins is kept for it."""
        await workflow.wait_condition(lambda: self._is_open)
        self._check_is_driver()
        recorded = await self._execution.record(steps.record_decision, self._execution.key, decision_in(given))
        self._review.note_change()
        return recorded.answer

    @decide.validator
    def _validate_decide(self, given: Any = None) -> None:
        self._check_is_driver()
        try:
            objection = decision_in(given).objection()
        except Unclear as unclear:
            raise ApplicationError(str(unclear), type="decision_invalid") from unclear
        if objection:
            raise ApplicationError(objection, type="decision_invalid")

    @workflow.update(
        description="Retry the step that is stuck now: the id or address of an operator or admin, and the reason. "
        f"{STAFF_REQUEST_EXAMPLE}"
    )
    async def retry_now(self, given: Any = None) -> str:
        """Do not wait for the next retry. The step stays safe to repeat, so this never moves money twice."""
        await self._record(Action.RETRY_STEP, given)
        self._execution.attention.retry_now = self._execution.attention.in_doubt
        return UPDATE_ANSWERS[Action.RETRY_STEP]

    @retry_now.validator
    def _validate_retry_now(self, given: Any = None) -> None:
        if not self._execution.attention.in_doubt:
            raise ApplicationError("No step is waiting to be retried.", type="nothing_to_retry")
        _check_request(given)

    @workflow.update(
        description="Cancel before the debit, or return an amount that is not delivered yet to its source: the id or "
        f"address of an operator or admin, and the reason. {STAFF_REQUEST_EXAMPLE}"
    )
    async def give_back(self, given: Any = None) -> str:
        """The ledger decides: an amount that was delivered meanwhile stays delivered.

        The debit does not begin while a request that came before it is recorded.
        """
        self._give_backs_in_progress += 1
        try:
            await self._record(Action.GIVE_BACK, given)
            self._execution.attention.note_cancellation()
        finally:
            self._give_backs_in_progress -= 1
        return UPDATE_ANSWERS[Action.GIVE_BACK]

    @give_back.validator
    def _validate_give_back(self, given: Any = None) -> None:
        state = self._execution.state
        if state.is_final:
            raise ApplicationError(f"It is too late: the transfer is {state}.", type="too_late")
        _check_request(given)

    def _opened(self, standing: Standing) -> None:
        """The row exists, in this state: decisions that came early are recorded now."""
        self._is_open = True
        self._execution.state = standing.state

    def _leave_to(self, standing: Standing) -> None:
        """Another execution drives the transfer. Requests that come here are refused with its name."""
        self._execution.state = standing.state
        other = standing.duplicate_of or "a later attempt"
        self._superseded_by = f"Nothing to do here: {other} is {standing.state}."
        self._execution.describe(self._superseded_by)

    def _check_is_driver(self) -> None:
        """Whether a decision is late, only the ledger knows: it may be written, though its answer was lost.

        A worker that died after the write, or a reset, asks for the same decision again. By then the transfer may have
        gone on because of it.
        """
        if self._superseded_by:
            raise ApplicationError(self._superseded_by, type="too_late")

    async def _record(self, action: Action, given: Any) -> None:
        """Record the request as taken. The transfer may have no row yet."""
        update = workflow.current_update_info()
        assert update is not None, "only updates request something"
        request = staff_request_in(given)
        await self._execution.record(steps.record_staff_action, self._execution.order, action, request, update.id)


def _check_request(given: Any) -> None:
    try:
        objection = staff_request_in(given).objection()
    except Unclear as unclear:
        raise ApplicationError(str(unclear), type="request_invalid") from unclear
    if objection:
        raise ApplicationError(objection, type="request_invalid")
