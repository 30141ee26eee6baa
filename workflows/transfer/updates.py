"""What operators may ask of a transfer's workflow: decide about it, retry a stuck step, give the amount back.

Each request is recorded beside the transfer before the workflow acts on it. Updates take any JSON and read it
themselves, so that a mistake is answered by a sentence and not by a converter's trace.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from ledger.refusals import UnknownTransfer
from ledger.transfers import Standing, TransferOrder
from reviews.review import DECISION_EXAMPLE, decision_in
from staff.instructions import INSTRUCTION_EXAMPLE, Unclear, instruction_in
from workflows import steps
from workflows.transfer.execution import TransferExecution
from workflows.transfer.review import TransferReview


class TransferUpdates:
    """The updates of a transfer's workflow, and what the workflow must know of them."""

    def __init__(self, order: TransferOrder) -> None:
        self._execution = TransferExecution(order)
        self._review = TransferReview(self._execution)
        self._is_open = False
        self._early_give_backs = 0
        self._superseded_by: str | None = None

    @workflow.update(
        description="Approve or reject a transfer in review: the id or address of an operator or admin who is no "
        f'party, "approve" or "reject", and the reason. {DECISION_EXAMPLE}'
    )
    async def decide(self, given: Any = None) -> str:
        """Record a reviewer's decision, then act on it. One that comes before the review begins is kept for it."""
        decision = decision_in(given)
        self._review.receive(decision)
        await workflow.wait_condition(lambda: self._is_open)
        try:
            self._check_decidable()
        except ApplicationError:
            self._review.withdraw(decision)
            raise
        recorded = await self._review.record(decision)
        return f"{recorded.ruling} by {recorded.decider} is recorded."

    @decide.validator
    def _validate_decide(self, given: Any = None) -> None:
        self._check_decidable()
        try:
            decision = decision_in(given)
        except Unclear as unclear:
            raise ApplicationError(str(unclear), type="decision_invalid") from unclear
        if objection := self._review.objection_to(decision):
            raise ApplicationError(objection, type="decision_invalid")

    @workflow.update(
        description="Retry the step that is stuck now: the id or address of an operator or admin, and the reason. "
        f"{INSTRUCTION_EXAMPLE}"
    )
    async def retry_now(self, given: Any = None) -> str:
        """Do not wait for the next retry. The step stays safe to repeat, so this never moves money twice."""
        is_recorded = await self._is_recorded("retry_now", given)
        self._execution.attention.retry_now = True
        if not is_recorded:
            await self._record_once_open("retry_now", given)
        return "The step is tried again."

    @retry_now.validator
    def _validate_retry_now(self, given: Any = None) -> None:
        if not self._execution.attention.in_doubt:
            raise ApplicationError("No step is waiting to be retried.", type="nothing_to_retry")
        _check_instruction(given)

    @workflow.update(
        description="Cancel before the debit, or return an amount that is not delivered yet to its source: the id or "
        f"address of an operator or admin, and the reason. {INSTRUCTION_EXAMPLE}"
    )
    async def give_back(self, given: Any = None) -> str:
        """The ledger decides: an amount that was delivered meanwhile stays delivered.

        Before the transfer's row exists nothing can be recorded beside it. So the workflow goes no further than to the
        row until the request is recorded.
        """
        came_early = not self._is_open
        self._early_give_backs += came_early
        try:
            if not await self._is_recorded("give_back", given):
                await self._record_once_open("give_back", given)
            self._execution.attention.note_cancellation()
        finally:
            self._early_give_backs -= came_early
        return "The amount goes back to its source, unless it has been delivered meanwhile."

    @give_back.validator
    def _validate_give_back(self, given: Any = None) -> None:
        state = self._execution.state
        if state.is_final:
            raise ApplicationError(f"It is too late: the transfer is {state}.", type="too_late")
        _check_instruction(given)

    async def _opened(self, standing: Standing) -> None:
        """The row exists, in this state: let early requests be recorded before the workflow goes on."""
        self._is_open = True
        self._execution.state = standing.state
        await self._execution.wait_until(lambda: not self._early_give_backs)

    def _leave_to(self, standing: Standing) -> None:
        """Another execution drives the transfer. Requests that come here are refused with its name."""
        self._execution.state = standing.state
        other = standing.duplicate_of or "a later attempt"
        self._superseded_by = f"Nothing to do here: {other} is {standing.state}."
        self._execution.describe(self._superseded_by)

    def _check_decidable(self) -> None:
        if self._superseded_by:
            raise ApplicationError(self._superseded_by, type="too_late")
        self._review.check_open()

    async def _is_recorded(self, action: str, given: Any) -> bool:
        """Record the request beside the transfer's row. False: the row does not exist yet."""
        try:
            await self._execution.record(steps.record_instruction, self._execution.key, action, instruction_in(given))
        except ApplicationError as error:
            if error.type == UnknownTransfer.__name__:
                return False
            raise
        return True

    async def _record_once_open(self, action: str, given: Any) -> None:
        await workflow.wait_condition(lambda: self._is_open)
        await self._is_recorded(action, given)


def _check_instruction(given: Any) -> None:
    try:
        objection = instruction_in(given).objection()
    except Unclear as unclear:
        raise ApplicationError(str(unclear), type="instruction_invalid") from unclear
    if objection:
        raise ApplicationError(objection, type="instruction_invalid")
