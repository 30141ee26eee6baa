"""The life of one transfer, from its row to the last message about it.

The ledger's answer decides what happens next, never this workflow's memory: an execution that is reset, repeated or
started beside another one reads where the money is and goes on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from ledger.refusals import FraudDeclined, IllegalTransition, UnknownTransfer
from ledger.rules import CANCELLED_IN_TRANSIT
from ledger.transfers import Ending, Failure, Opened, ScreenedStep, Standing, State, TransferOrder
from screening.rules import ScreeningAnswer, Verdict
from workflows import policies, steps
from workflows.step_execution import Attention, WaitCancelled, begin_locally, local_first
from workflows.transfer.execution import StepForbidden, StepRefused
from workflows.transfer.updates import TransferUpdates

Argument = TypeVar("Argument")

_ENDINGS: Mapping[State, str] = {
    State.COMPLETED: "Completed: the amount is with the destination.",
    State.COMPENSATED: "Compensated: the amount is back with the source.",
    State.FAILED: "Failed: the amount never left the source.",
    State.CANCELLED: "Cancelled: the amount never left the source.",
}
assert _ENDINGS.keys() == {state for state in State if state.is_final}


# The conflicts with which the rows of a transfer forbid its screening.
_ROWS_FORBID = frozenset({IllegalTransition.__name__, UnknownTransfer.__name__})


@workflow.defn
class TransferWorkflow(TransferUpdates):
    """Moves an amount from a source to a destination, or leaves the money where it was."""

    @workflow.init
    def __init__(self, order: TransferOrder) -> None:
        super().__init__(order)
        self._screened_by: str | None = None

    @workflow.run
    async def run(self, order: TransferOrder) -> Standing:
        """Open, screen, debit, credit, notify. The result is the transfer's final state in the ledger."""
        begun = begin_locally(steps.screen_transfer, order)  # it reads only the order, so it need not wait
        screening: asyncio.Task[Verdict] | None = begun
        opened = await self._open(order)
        if not self._needs_screening(opened):
            begun.cancel()
        standing = opened.standing
        while self._execution.owns(standing) and not standing.state.is_final:
            try:
                if standing.state is State.DEBITED:
                    standing = await self._credit()
                else:
                    standing = await self._debit(await self._objection(opened, screening))
            except StepForbidden:
                opened, screening = await self._open(order), None  # what was screened may be long ago
                standing = opened.standing
        await self._close(standing)
        while not workflow.all_handlers_finished():  # a cancellation ends one wait, and leaves nobody without an answer
            await self._execution.wait_until(workflow.all_handlers_finished)
        return standing

    def _needs_screening(self, opened: Opened) -> bool:
        is_new = self._execution.owns(opened.standing) and opened.standing.state is State.INITIATED
        return is_new and not opened.objection and not self._execution.is_cancelled

    async def _open(self, order: TransferOrder) -> Opened:
        """Write the transfer's row, or read it. Fails the workflow if the row belongs to another order."""
        try:
            opened = await self._execution.run(
                steps.open_transfer, order, "Writing the transfer's row. No money has moved."
            )
        except (StepRefused, StepForbidden) as refused:
            raise ApplicationError(refused.failure.message, type=refused.failure.code, non_retryable=True) from refused
        self._execution.attention.stuck_after = timedelta(seconds=opened.stuck_after_seconds)
        self._opened(opened.standing)
        return opened

    async def _objection(self, opened: Opened, screening: "asyncio.Task[Verdict] | None") -> Failure | None:
        """Why the ledger, screening or reviewers refuse the transfer, or None. A cancellation ends every wait."""
        if opened.objection or self._execution.is_cancelled:
            return opened.objection
        verdict = Verdict(ScreeningAnswer.REVIEW)
        if opened.standing.state is State.INITIATED:
            verdict = await self._screen(screening)
        if verdict.answer is ScreeningAnswer.DECLINE:
            return FraudDeclined().failure
        if verdict.answer is ScreeningAnswer.REVIEW and not self._execution.is_cancelled:
            return await self._review.wait(verdict.rules)
        return None

    async def _screen(self, begun: "asyncio.Task[Verdict] | None") -> Verdict:
        """The verdict of the rules. Only the rows of the transfer may forbid the step; else no verdict is no answer.

        Whatever a step raises for good without being such an answer is tried again after a pause that grows, so that a
        broken rule lets nothing pass and fills no history.
        """
        pause = policies.SCREENING_FIRST_PAUSE
        while not self._execution.is_cancelled:
            try:
                return await self._ask_the_rules(begun)
            except WaitCancelled:
                break
            except (StepRefused, StepForbidden) as no:
                if no.failure.code in _ROWS_FORBID:
                    raise
                begun = None
                workflow.logger.error("Screening gave no verdict: %s", no.failure.message)
                summary = "Until screening is tried again, because it gave no verdict"
                await self._execution.wait_until(lambda: self._execution.is_cancelled, pause, summary)
                pause = min(2 * pause, policies.SCREENING_LONGEST_PAUSE)
        return Verdict(ScreeningAnswer.ALLOW)  # the cancellation is answered before the debit

    async def _ask_the_rules(self, begun: "asyncio.Task[Verdict] | None") -> Verdict:
        """By the order alone, beside the opening; then by the facts, if those matter or something is to be kept."""
        execution = self._execution
        details = "Screening. No money has moved."
        verdict = await execution.run(steps.screen_transfer, execution.order, details, begun=begun, cancellable=True)
        if verdict.is_provisional:
            verdict = await execution.run(steps.screen_with_facts, execution.order, details, cancellable=True)
        self._screened_by = verdict.rule_set
        return verdict

    async def _debit(self, objection: Failure | None) -> Standing:
        """Take the amount from the source, unless somebody objects or cancels."""
        await self._execution.wait_until(lambda: self._give_backs_in_progress == 0)
        if self._execution.is_cancelled:
            return await self._cancel()
        if objection:
            return await self._fail(objection)
        order = self._execution.order
        try:
            return await self._move(
                steps.debit_source,
                ScreenedStep(order.transfer_id, order.attempt, order.source_account_id, self._screened_by),
                "Taking the amount from the source: it is still there, or in transit.",
            )
        except StepRefused as refused:
            return await self._fail(refused.failure)

    async def _credit(self) -> Standing:
        """Hand the amount to the destination. If that is refused or cancelled, the source gets it back."""
        if self._execution.is_cancelled:
            return await self._refund(CANCELLED_IN_TRANSIT)
        try:
            return await self._move(
                steps.credit_destination,
                replace(self._execution.key, account_id=self._execution.order.destination_account_id),
                "The amount is in transit: handing it to the destination.",
                cancellable=True,
            )
        except StepRefused as refused:
            return await self._refund(refused.failure)
        except WaitCancelled:
            return await self._refund(CANCELLED_IN_TRANSIT)  # if the credit was first, the ledger says so

    async def _cancel(self) -> Standing:
        return await self._move(steps.cancel_transfer, Ending(self._execution.key), "Cancelling. No money has moved.")

    async def _fail(self, failure: Failure) -> Standing:
        return await self._move(
            steps.fail_transfer, Ending(self._execution.key, failure), f"Refused ({failure.code}). No money has moved."
        )

    async def _refund(self, failure: Failure) -> Standing:
        return await self._move(
            steps.refund_source,
            Ending(self._execution.key, failure),
            f"The amount is in transit and cannot be delivered ({failure.code}): returning it to the source.",
        )

    async def _move(
        self,
        step: Callable[[Argument], Awaitable[Standing]],
        argument: Argument,
        details: str,
        *,
        cancellable: bool = False,
    ) -> Standing:
        """Where the transfer is after a step that writes the ledger. Raises `StepRefused` and `StepForbidden`."""
        standing = await self._execution.run(step, argument, details, cancellable=cancellable)
        self._execution.state = standing.state
        return standing

    async def _close(self, standing: Standing) -> None:
        """Show how the transfer ended, and notify its parties."""
        if not self._execution.owns(standing):
            self._leave_to(standing)
        else:
            reason = f" Reason: {standing.failure.message}" if standing.failure else ""
            ending = f"{_ENDINGS[standing.state]}{reason}"
            self._execution.describe(f"{ending} Notifying the parties.")
            is_notified = await self._notify(standing)
            self._execution.describe(ending if is_notified else f"{ending} The parties were not notified.")
        self._execution.publish()

    async def _notify(self, standing: Standing) -> bool:
        """Whether the parties were notified. The money is where it stays: a failure is logged and changes nothing."""
        # Attention of its own: a cancellation that came too late for the money does not keep the parties uninformed.
        attention = Attention(show=self._execution.publish, stuck_after=policies.NOTIFICATION_BUDGET)
        try:
            await local_first(
                steps.notify_parties,
                self._execution.order,
                standing,
                summary="Notify the parties",
                attention=attention,
                cancellable=True,
                retry=policies.NOTIFICATION_RETRY,
                budget=policies.NOTIFICATION_BUDGET,
            )
        except (WaitCancelled, FailureError) as error:
            workflow.logger.warning("The parties were not notified of how the transfer ended: %s", error)
            return False
        return True
