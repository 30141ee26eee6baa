"""The life of one transfer, from its row to its last message.

The ledger's answer decides what happens next, never this workflow's memory: a run that is reset, repeated or started
beside another asks where the money is and goes on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from ledger.refusals import REFUSAL_CODES, FraudDeclined
from ledger.screening import Answer
from ledger.transfers import Ending, Failure, Opened, Standing, State, Step, TransferOrder
from workflows import policies, steps
from workflows.running import answer_in, local_first
from workflows.visibility import TRANSFER_STATE

Argument = TypeVar("Argument")
Reply = TypeVar("Reply")

GIVEN_BACK = Failure("cancelled", "The transfer was cancelled after its debit; the amount was returned.")

_ENDINGS: Mapping[State, str] = {
    State.COMPLETED: "Completed: the amount is with the destination.",
    State.COMPENSATED: "Compensated: the amount is back with the source.",
    State.FAILED: "Failed: the amount never left the source.",
    State.CANCELLED: "Cancelled: the amount never left the source.",
}
assert _ENDINGS.keys() == {state for state in State if state.is_final}


class Refused(Exception):
    """A step's "no": a refusal, or a step that the ledger's state forbids."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@workflow.defn
class TransferWorkflow:
    """Moves an amount from a source to a destination, or leaves the money where it was."""

    @workflow.init
    def __init__(self, order: TransferOrder) -> None:
        self._order = order
        self._step = Step(order.transfer_id, order.attempt)
        self._state = State.INITIATED
        self._shown = State.INITIATED
        self._cancel_requested = False

    @workflow.run
    async def run(self, order: TransferOrder) -> Standing:  # noqa: ARG002 - the constructor has taken it
        """The story. The result is where the transfer stands in the ledger, in a final state."""
        opened = await self._open()
        standing = opened.standing
        while not standing.state.is_final and self._is_mine(standing):
            if standing.state is State.DEBITED:
                standing = await self._hand_to_destination()
            else:
                standing = await self._take_from_source(opened.objection)
        if self._is_mine(standing):
            await self._notify(standing)
        return standing

    async def _take_from_source(self, objection: Failure | None) -> Standing:
        if self._cancel_requested:
            return await self._cancel()
        if objection := objection or await self._screen():
            return await self._fail(objection)
        if self._cancel_requested:
            return await self._cancel()
        try:
            return await self._move(steps.debit_source, self._step, "Taking the amount from the source.")
        except Refused as refusal:
            return await self._fail(refusal.failure)

    async def _hand_to_destination(self) -> Standing:
        if self._cancel_requested:
            return await self._give_back(GIVEN_BACK)
        try:
            return await self._move(
                steps.credit_destination, self._step, "The amount is in transit: handing it to the destination."
            )
        except Refused as refusal:
            return await self._give_back(refusal.failure)

    async def _open(self) -> Opened:
        try:
            return await self._ask(steps.open_transfer, self._order, "Writing the transfer down. No money has moved.")
        except Refused as refusal:
            # The key names another order: nothing was written, and nothing will move.
            raise ApplicationError(str(refusal), type=refusal.failure.code, non_retryable=True) from refusal

    async def _screen(self) -> Failure | None:
        """Screening moves no money, so a cancellation ends the wait for it."""
        self._tell("Screening. No money has moved.")
        try:
            verdict = await local_first(
                steps.screen_transfer,
                self._order,
                summary="Screen for fraud",
                in_doubt=self._show,
                on_cancel=self._note_cancellation,
                interruptible=True,
            )
        except (asyncio.CancelledError, FailureError) as error:
            if not is_cancelled_exception(error):
                raise
            self._note_cancellation()
            return None
        return None if verdict.answer is Answer.ALLOW else FraudDeclined().failure

    async def _cancel(self) -> Standing:
        return await self._move(steps.cancel_transfer, Ending(self._step), "Cancelling. No money has moved.")

    async def _fail(self, failure: Failure) -> Standing:
        return await self._move(
            steps.fail_transfer, Ending(self._step, failure), f"Refused ({failure.code}). No money has moved."
        )

    async def _give_back(self, failure: Failure) -> Standing:
        return await self._move(
            steps.refund_source,
            Ending(self._step, failure),
            f"The amount is in transit and cannot be delivered ({failure.code}): giving it back to the source.",
        )

    async def _notify(self, standing: Standing) -> None:
        """Tell the parties. The money's fate is sealed: whatever happens here is recorded and changes nothing."""
        why = f" Reason: {standing.failure.message}" if standing.failure else ""
        ending = f"{_ENDINGS[standing.state]}{why}"
        self._state = standing.state
        self._tell(f"{ending} Telling the parties.")
        try:
            await local_first(
                steps.notify_parties,
                self._order,
                standing,
                summary="Notify the parties",
                in_doubt=self._show,
                on_cancel=self._note_cancellation,
                interruptible=True,
                retry=policies.NOTIFICATION_RETRY,
                budget=policies.NOTIFICATION_BUDGET,
            )
        except (asyncio.CancelledError, FailureError) as error:
            workflow.logger.warning("The parties were not told how the transfer ended: %s", error)
            self._tell(f"{ending} The parties were not told: {error}")
        else:
            self._tell(ending)
        self._show()

    async def _move(
        self, step: Callable[[Argument], Awaitable[Standing]], argument: Argument, details: str
    ) -> Standing:
        """A step that writes the ledger, run to its end. Raises `Refused` with a refusal.

        A step that the state forbids means that somebody else moved the transfer: the ledger says where it is now.
        """
        try:
            standing = await self._ask(step, argument, details)
        except Refused as refusal:
            if refusal.failure.code in REFUSAL_CODES:
                raise
            standing = (await self._open()).standing
        self._state = standing.state
        return standing

    async def _ask(self, step: Callable[[Argument], Awaitable[Reply]], argument: Argument, details: str) -> Reply:
        self._tell(details)
        summary = f"{step.__name__.replace('_', ' ').capitalize()}: {self._order.amount}"
        try:
            return await local_first(
                step, argument, summary=summary, in_doubt=self._show, on_cancel=self._note_cancellation
            )
        except FailureError as error:
            if answer := answer_in(error):
                raise Refused(answer) from error
            raise

    def _is_mine(self, standing: Standing) -> bool:
        """Whether this run speaks for the transfer: not for another attempt of it, nor for a repeated deposit."""
        return standing.duplicate_of is None and standing.attempt == self._order.attempt

    def _note_cancellation(self) -> None:
        self._cancel_requested = True

    def _tell(self, details: str) -> None:
        """What a person sees as the current details of the workflow."""
        workflow.set_current_details(details)

    def _show(self) -> None:
        """Make the state filterable: once where the transfer waits, and once at its end. Each costs a write."""
        if self._shown is not self._state:
            self._shown = self._state
            workflow.upsert_search_attributes([TRANSFER_STATE.value_set(self._state)])
