"""The life of one transfer, from its row to its last message.

The ledger's answer decides what happens next, never this workflow's memory: a run that is reset, repeated or started
beside another asks where the money is and goes on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ApplicationError, FailureError

from ledger.refusals import REFUSAL_CODES, FraudDeclined, ReviewExpired, ReviewRejected, UnknownTransfer
from ledger.transfers import Ending, Failure, Opened, Standing, State, Step, StraightThrough, TransferOrder
from reviews.review import (
    DECISION_EXAMPLE,
    Decision,
    Review,
    Ruling,
    decision_in,
    objection_to_decision,
    outcome,
    progress,
)
from screening.rules import ScreeningAnswer
from staff.instructions import INSTRUCTION_EXAMPLE, Unclear, instruction_in
from workflows import policies, steps
from workflows.search_attributes import NEEDS_ATTENTION, TRANSFER_STATE
from workflows.step_execution import Attention, Left, answer_in, local_first, locally

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
        self._step = Step(order.transfer_id, order.attempt, order.source_account_id)
        self._state = State.INITIATED
        self._shown: tuple[State, bool] = (State.INITIATED, False)
        self._doing = ""
        self._attention = Attention(show=self._show)
        self._in_doubt: str | None = None
        self._opened = False
        self._came_early = 0
        self._reviewable = True
        self._elsewhere: str | None = None
        self._deciding: list[Decision] = []
        self._decisions: list[Decision] = []
        self._tell_reviewers: Callable[[], None] | None = None

    @workflow.run
    async def run(self, order: TransferOrder) -> Standing:  # noqa: ARG002 - the constructor has taken it
        """The story. The result is where the transfer stands in the ledger, in a final state."""
        straight = await self._straight_through()
        opened, standing = straight.opened, straight.standing
        self._opened, self._state = True, standing.state
        await self._happens(lambda: not self._came_early)
        if not self._is_mine(standing):
            self._leave(standing)
        self._attention.stuck_after = timedelta(seconds=opened.stuck_after_seconds)
        while not standing.state.is_final and self._is_mine(standing):
            if standing.state is State.DEBITED:
                standing = await self._hand_to_destination()
            else:
                standing = await self._take_from_source(standing, opened.objection)
        if self._is_mine(standing):
            await self._close(standing, are_told=straight.are_told)
        else:
            self._leave(standing)
            self._show()
        await self._happens(workflow.all_handlers_finished)
        return standing

    # Updates take any JSON, and read it themselves: what is wrong is then said in a sentence, and not as the trace of a
    # converter.

    @workflow.update(
        description='Approve or reject a transfer in review: the id or address of staff who are no party, "approve" or '
        f'"reject", and why. {DECISION_EXAMPLE}'
    )
    async def decide(self, said: Any = None) -> str:
        """Keep a reviewer's word, then act on it. One that comes before the review begins is kept for it."""
        decision = decision_in(said)
        self._deciding.append(decision)
        await workflow.wait_condition(lambda: self._opened)
        try:
            self._check_reviewable()
            kept = await self._keep(steps.record_decision, self._step, decision)
            if all(counted.decider != kept.decider for counted in self._decisions):
                self._check_reviewable()  # the transfer may have gone on while it was written down
        except FailureError:
            self._deciding.remove(decision)
            raise
        self._decisions.append(kept)
        if self._tell_reviewers:
            self._tell_reviewers()
        return f"{kept.ruling} by {kept.decider} is recorded."

    @decide.validator
    def _may_decide(self, said: Any = None) -> None:
        self._check_reviewable()
        try:
            decision = decision_in(said)
        except Unclear as unclear:
            raise ApplicationError(str(unclear), type="decision_invalid") from unclear
        if objection := objection_to_decision(decision, self._order.owner_id, self._deciding):
            raise ApplicationError(objection, type="decision_invalid")

    @workflow.update(
        description="Try the step that is stuck once more, now: the id or address of staff, and why. "
        f"{INSTRUCTION_EXAMPLE}"
    )
    async def retry_now(self, said: Any = None) -> str:
        """Do not wait for the next retry. The step stays safe to repeat, so this can never move money twice."""
        is_recorded = await self._is_recorded("retry_now", said)
        self._attention.retry_now = True
        if not is_recorded:
            await self._record_once_opened("retry_now", said)
        return "The step is tried again."

    @retry_now.validator
    def _may_retry_now(self, said: Any = None) -> None:
        if not self._attention.in_doubt:
            raise ApplicationError("No step is waiting to be retried.", type="nothing_to_retry")
        self._check(said)

    @workflow.update(
        description="Give an amount that is not delivered yet back to its source, or cancel before its debit: the id "
        f"or address of staff, and why. {INSTRUCTION_EXAMPLE}"
    )
    async def give_back(self, said: Any = None) -> str:
        """The ledger decides: an amount that was delivered meanwhile stays delivered.

        Before there is a row, the transfer goes no further than to it: what was asked is kept beside it.
        """
        came_early = not self._opened
        self._came_early += came_early
        try:
            if not await self._is_recorded("give_back", said):
                await self._record_once_opened("give_back", said)
            self._attention.note_cancellation()
        finally:
            self._came_early -= came_early
        return "The amount goes back to its source, unless it has been delivered meanwhile."

    @give_back.validator
    def _may_give_back(self, said: Any = None) -> None:
        if self._state.is_final:
            raise ApplicationError(f"It is too late: the transfer is {self._state}.", type="too_late")
        self._check(said)

    async def _is_recorded(self, action: str, said: Any) -> bool:
        """Keep what one of the staff asks for beside the transfer's row. False: there is no row yet."""
        try:
            await self._keep(steps.record_instruction, self._step, action, instruction_in(said))
        except ApplicationError as error:
            if error.type == UnknownTransfer.__name__:
                return False
            raise
        return True

    async def _record_once_opened(self, action: str, said: Any) -> None:
        await workflow.wait_condition(lambda: self._opened)
        await self._is_recorded(action, said)

    def _check_reviewable(self) -> None:
        if self._elsewhere:
            raise ApplicationError(self._elsewhere, type="too_late")
        if not (self._reviewable and self._state in (State.INITIATED, State.IN_REVIEW)):
            raise ApplicationError(f"It is too late to decide: the transfer is {self._state}.", type="too_late")

    @staticmethod
    def _check(said: Any) -> None:
        try:
            objection = instruction_in(said).objection()
        except Unclear as unclear:
            raise ApplicationError(str(unclear), type="instruction_invalid") from unclear
        if objection:
            raise ApplicationError(objection, type="instruction_invalid")

    async def _take_from_source(self, standing: Standing, objection: Failure | None) -> Standing:
        if self._in_doubt != steps.debit_source.__name__:  # else nothing was against it, and it may have happened
            objection = objection or await self._objection(standing)
        self._reviewable = False
        if self._is_cancelled():
            return await self._cancel()
        if objection:
            return await self._fail(objection)
        try:
            return await self._move(
                steps.debit_source, self._step, "Taking the amount from the source: it is still there, or in transit."
            )
        except Refused as refusal:
            return await self._fail(refusal.failure)

    async def _objection(self, standing: Standing) -> Failure | None:
        """What screening or a reviewer have against the transfer. A cancellation ends the wait for both."""
        if self._is_cancelled():
            return None
        answer = ScreeningAnswer.REVIEW if standing.state is State.IN_REVIEW else await self._screen()
        if answer is ScreeningAnswer.DECLINE:
            return FraudDeclined().failure
        if answer is ScreeningAnswer.REVIEW and not self._is_cancelled():
            return await self._review()
        return None

    async def _hand_to_destination(self) -> Standing:
        self._reviewable = False
        if self._is_cancelled():
            return await self._give_back(GIVEN_BACK)
        try:
            return await self._move(
                steps.credit_destination,
                replace(self._step, account_id=self._order.destination_account_id),
                "The amount is in transit: handing it to the destination.",
                may_be_left=True,
            )
        except Refused as refusal:
            return await self._give_back(refusal.failure)
        except Left:
            return await self._give_back(GIVEN_BACK)

    async def _straight_through(self) -> StraightThrough:
        """All steps in one go, as far as they say yes. One in doubt is asked again where people can see it."""
        if workflow.cancellation_reason() is not None:
            return self._only(await self._open())  # asked for before anything was done
        try:
            straight = await locally(
                steps.settle_straight_through,
                self._order,
                attention=self._attention,
                within=policies.STRAIGHT_THROUGH_ATTEMPT,
            )
        except FailureError as error:
            if answer := answer_in(error):
                raise self._unopened(answer) from error
            self._in_doubt = steps.open_transfer.__name__
            return self._only(await self._open())
        self._in_doubt = straight.in_doubt
        return straight

    @staticmethod
    def _only(opened: Opened) -> StraightThrough:
        return StraightThrough(opened, opened.standing)

    async def _open(self) -> Opened:
        try:
            return await self._ask(steps.open_transfer, self._order, "Writing the transfer down. No money has moved.")
        except Refused as refusal:
            raise self._unopened(refusal.failure) from refusal

    @staticmethod
    def _unopened(answer: Failure) -> ApplicationError:
        """The key names another order: nothing was written, and nothing will move."""
        return ApplicationError(answer.message, type=answer.code, non_retryable=True)

    async def _screen(self) -> ScreeningAnswer:
        """Screening moves no money, so a cancellation ends the wait for it."""
        try:
            verdict = await self._ask(
                steps.screen_transfer, self._order, "Screening. No money has moved.", may_be_left=True
            )
        except Left:
            return ScreeningAnswer.ALLOW  # and cancelled, which is answered next
        return verdict.answer

    async def _review(self) -> Failure | None:
        """Wait for people to decide: why the transfer may not go on, or None. A cancellation ends the wait."""
        try:
            review: Review = await self._ask(steps.begin_review, self._order, "Review begins. No money has moved.")
        except Refused:
            return None  # somebody else moved the transfer: the next step finds out where to
        known = {decision.decider for decision in review.decisions}
        self._decisions = review.decisions + [made for made in self._decisions if made.decider not in known]
        self._state = review.standing.state
        self._show()
        if not await self._decided(review):
            return None if self._is_cancelled() else ReviewExpired().failure
        return ReviewRejected().failure if outcome(self._decisions, review.terms) is Ruling.REJECT else None

    async def _decided(self, review: Review) -> bool:
        """Whether reviewers decided before the deadline; reminds them once on the way.

        Both count from when the review began, in whatever run of the workflow that was.
        """
        terms, began = review.terms, workflow.now() - timedelta(seconds=review.elapsed_seconds)
        until = began + timedelta(seconds=terms.deadline_seconds)
        remind = began + timedelta(seconds=terms.remind_after_seconds)
        self._tell_reviewers = lambda: self._tell(
            f"In review until {until:%Y-%m-%d %H:%M} UTC: {progress(self._decisions, terms)} No money has moved."
        )
        self._tell_reviewers()

        def decided() -> bool:
            return self._is_cancelled() or outcome(self._decisions, terms) is not None

        try:
            if await self._happens(decided, min(remind, until) - workflow.now(), "Until the reviewers are reminded"):
                return not self._is_cancelled()
            if remind < until:
                await self._ask(steps.remind_reviewers, self._order, self._doing)
                if await self._happens(decided, until - workflow.now(), "Until the review expires"):
                    return not self._is_cancelled()
            return False
        finally:
            self._tell_reviewers = None

    async def _happens(
        self, condition: Callable[[], bool], within: timedelta | None = None, summary: str | None = None
    ) -> bool:
        """Whether the condition came to hold in time. A cancellation is noted, and ends the wait as well."""
        if condition():
            return True
        if within is not None and within <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(condition, timeout=within, timeout_summary=summary)
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            self._attention.note_cancellation()
        return True

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

    async def _close(self, standing: Standing, *, are_told: bool) -> None:
        """Say how it ended, here and to the parties."""
        why = f" Reason: {standing.failure.message}" if standing.failure else ""
        ending = f"{_ENDINGS[standing.state]}{why}"
        self._state = standing.state
        if not are_told:
            self._tell(f"{ending} Telling the parties.")
            are_told = await self._notify(standing)
        self._tell(ending if are_told else f"{ending} The parties were not told.")
        self._show()

    async def _notify(self, standing: Standing) -> bool:
        """Tell the parties. The money's fate is sealed: whatever happens here is recorded and changes nothing."""
        # A cancellation that came too late for the money is no reason to leave the parties in the dark.
        attention = Attention(show=self._show, stuck_after=policies.NOTIFICATION_BUDGET)
        try:
            await local_first(
                steps.notify_parties,
                self._order,
                standing,
                summary="Notify the parties",
                attention=attention,
                is_in_doubt=self._was_left_in_doubt(steps.notify_parties),
                may_be_left=True,
                retry=policies.NOTIFICATION_RETRY,
                budget=policies.NOTIFICATION_BUDGET,
            )
        except (Left, FailureError) as error:
            workflow.logger.warning("The parties were not told how the transfer ended: %s", error)
            return False
        return True

    async def _move(
        self,
        step: Callable[[Argument], Awaitable[Standing]],
        argument: Argument,
        details: str,
        *,
        may_be_left: bool = False,
    ) -> Standing:
        """A step that writes the ledger. Raises `Refused` with a refusal.

        A step that the state forbids means that somebody else moved the transfer: the ledger says where it is now.
        """
        try:
            standing = await self._ask(step, argument, details, may_be_left=may_be_left)
        except Refused as refusal:
            if refusal.failure.code in REFUSAL_CODES:
                raise
            standing = (await self._open()).standing
        self._state = standing.state
        return standing

    async def _ask(
        self,
        step: Callable[[Argument], Awaitable[Reply]],
        argument: Argument,
        details: str,
        *,
        may_be_left: bool = False,
    ) -> Reply:
        self._tell(details)
        try:
            return await local_first(
                step,
                argument,
                summary=f"{step.__name__.replace('_', ' ').capitalize()}: {self._order.amount}",
                attention=self._attention,
                is_in_doubt=self._was_left_in_doubt(step),
                may_be_left=may_be_left,
            )
        except FailureError as error:
            if answer := answer_in(error):
                raise Refused(answer) from error
            raise

    def _was_left_in_doubt(self, step: Callable[..., Awaitable[object]]) -> bool:
        """Whether the straight way left this step without an answer. Said once: the next time it begins anew."""
        if self._in_doubt != step.__name__:
            return False
        self._in_doubt = None
        return True

    async def _keep(self, record: Callable[..., Awaitable[Reply]], *arguments: object) -> Reply:
        """Write down what a person asked for before acting on it. Refused, the update fails with the reason."""
        asked = workflow.current_update_info()
        assert asked is not None, "people ask by updates"
        quiet = Attention(show=lambda: None, stuck_after=policies.NOTIFICATION_BUDGET)
        summary = f"Record: {self._order.amount}"
        try:
            return await local_first(record, *arguments, asked.id, summary=summary, attention=quiet)
        except FailureError as error:
            if answer := answer_in(error):
                raise ApplicationError(answer.message, type=answer.code) from error
            raise

    def _is_cancelled(self) -> bool:
        return self._attention.cancel_requested

    def _is_mine(self, standing: Standing) -> bool:
        """Whether this run speaks for the transfer: not for another attempt of it, nor for a repeated deposit."""
        return standing.duplicate_of is None and standing.attempt == self._order.attempt

    def _leave(self, standing: Standing) -> None:
        """Another run speaks for the transfer: whoever asks for something here is told so."""
        self._state = standing.state
        self._elsewhere = f"Nothing to do here: {standing.duplicate_of or 'a later attempt'} is {standing.state}."
        self._tell(self._elsewhere)

    def _tell(self, details: str) -> None:
        """What a person sees as the current details of the workflow."""
        self._doing = details
        workflow.set_current_details(details)

    def _show(self) -> None:
        """Make state and need for attention filterable: where the transfer waits, and at its end. It costs a write."""
        stuck = self._attention.stuck
        if stuck:
            workflow.set_current_details(
                f"NEEDS ATTENTION. {self._doing} The step has no answer yet and is retried; see Pending Activities for "
                "why. Updates: `retry_now`, or `give_back` while it is not delivered."
            )
        elif self._shown[1]:
            workflow.set_current_details(self._doing)
        if self._shown != (self._state, stuck):
            changes: list[SearchAttributeUpdate[Any]] = [TRANSFER_STATE.value_set(self._state)]
            if stuck != self._shown[1]:
                changes.append(NEEDS_ATTENTION.value_set(stuck))
            self._shown = (self._state, stuck)
            workflow.upsert_search_attributes(changes)
