"""The life of one dispute: wait for statements and a decision, then carry out the decision.

The dispute's row decides what happens next. This workflow may be terminated, reset or started again at any time: it
reads the row and continues from there. A decided reversal happens once, because its id follows from the row.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowHandle

from disputes.dispute import DecisionRefused, DisputeProgress, DisputeState, decision_of
from ledger.ids import DisputeId
from ledger.refusals import OrderForged
from ledger.transfers import Failure, Standing, TransferOrder
from workflows import policies, steps
from workflows.search_attributes import dispute_attributes, search_attributes, summary
from workflows.step_execution import refusal_in, refused_update
from workflows.transfer.saga import TransferWorkflow

FORGED = OrderForged.__name__

_ENDINGS: Mapping[DisputeState, str] = {
    DisputeState.REVERSED: "Reversed",
    DisputeState.REVERSAL_FAILED: "Decided, but not reversed",
    DisputeState.REJECTED: "Rejected",
    DisputeState.EXPIRED: "Expired",
}
assert _ENDINGS.keys() == {state for state in DisputeState if state.is_final}


def _disputed_text(course: DisputeProgress) -> str:
    """The transfer and its parties, by their ids."""
    payer, payee = course.parties
    return f"{course.transfer_id}, paid by {payer} to {payee}"


def _amount_text(course: DisputeProgress) -> str:
    """The disputed amount, for a text without another one: the Web UI reads what is between two `$` as a formula."""
    return f" Amount: {course.disputed.amount}." if course.disputed else ""


@workflow.defn
class DisputeWorkflow:
    """Waits for a decision until the deadline, and ends in a reversal or in a rejection."""

    @workflow.init
    def __init__(self, dispute_id: DisputeId) -> None:
        self._id = dispute_id
        self._course: DisputeProgress | None = None
        self._news = False
        self._details = ""
        self._refused = ""

    @workflow.run
    async def run(self, dispute_id: DisputeId) -> DisputeState:  # noqa: ARG002 - the constructor has taken it
        """Wait for the decision, then carry it out. The result is the final state in the dispute's row."""
        course = await self._step("Read the dispute", steps.read_dispute)
        until = workflow.now() + timedelta(seconds=course.seconds_left)
        while course.state is DisputeState.OPEN:
            self._describe(
                f"About {_disputed_text(course)}. Open until {until:%Y-%m-%d %H:%M} UTC.{_amount_text(course)} "
                f"Statements so far: {course.statements}, to be read at `GET /v1/disputes/{self._id}`. "
                "Staff decide by the admin API, or by the update `decide`."
            )
            left = max(until - workflow.now(), timedelta(0))
            # A lost signal must not delay a decision until the deadline, so the row is read without signals, too.
            notified = await self._hears_within(min(left, policies.DISPUTE_ROUTINE_READ))
            if notified or left > policies.DISPUTE_ROUTINE_READ:
                course = await self._step("Read what is new", steps.read_dispute)
            else:
                course = await self._step("Deadline: expire it, unless it is decided", steps.expire_dispute)
        if course.state is DisputeState.REVERSING:
            course = await self._reverse(course)
        self._describe(f"{_ENDINGS[course.state]}. {course.outcome or ''} About {_disputed_text(course)}.")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return course.state

    @workflow.signal(description="There is a new statement or decision: read the dispute's row again.")
    def look_again(self) -> None:
        """The API sends this after each write. A lost signal only delays the workflow."""
        self._news = True

    @workflow.update(
        description='Decide the dispute: the customer id of staff who are no party, "reverse" (an amount_minor, or all '
        'that is left) or "reject", and why. {"decider": "cus_…", "ruling": "reverse", "amount_minor": 2500, '
        '"reason": "ticket 4711"}'
    )
    async def decide(self, given: dict[str, Any]) -> str:
        """Record a decision. The first one is final. `given` has the fields of a `DisputeDecision`."""
        decision = decision_of(given)
        try:
            self._course = await self._step(f"Decide: {decision.ruling}", steps.decide_dispute, decision)
        except FailureError as error:
            if answer := refusal_in(error):
                self._refused = refused_update(answer)
                self._describe(self._details)
                raise ApplicationError(answer.message, type=answer.code) from error
            raise
        self._news = True
        return f"{decision.ruling} by {decision.decider} is recorded."

    @decide.validator
    def _may_decide(self, given: dict[str, Any]) -> None:
        try:
            decision = decision_of(given)
        except DecisionRefused as refusal:
            raise ApplicationError(str(refusal), type=refusal.code) from None
        course = self._course
        if course is not None and course.state is not DisputeState.OPEN:
            raise ApplicationError(f"The dispute is {course.state}.", type="dispute_closed")
        if objection := decision.objection(course.parties if course else ()):
            raise ApplicationError(objection, type="decision_refused")

    def _describe(self, details: str) -> None:
        """Set the current details. While the dispute is open, they begin with the decision that was refused last."""
        if self._course is not None and self._course.state is not DisputeState.OPEN:
            self._refused = ""
        self._details = details
        workflow.set_current_details(f"{self._refused}{details}")

    async def _hears_within(self, limit: timedelta) -> bool:
        """Whether a signal or an update has arrived within the limit."""
        try:
            await workflow.wait_condition(
                lambda: self._news,
                timeout=limit,
                timeout_summary="Next read of the row, or the deadline of the dispute",
            )
        except TimeoutError:
            return False
        self._news = False
        return True

    async def _reverse(self, course: DisputeProgress) -> DisputeProgress:
        """Have an ordinary transfer make the reversal, and wait for its end, whichever workflow drives it."""
        order = course.reversal
        assert order is not None
        self._describe(f"Decided: {order.amount} is to go back to the payer. See {order.workflow_id}.")
        pause = policies.DISPUTE_FIRST_PAUSE
        while (failure := await self._opened(order)) is not None and failure.code == FORGED:
            # The key that signed it was retired meanwhile. Whoever reads the row signs it anew.
            await workflow.sleep(pause, summary="Until the reversal is signed with another fingerprint key")
            pause = min(pause * 2, policies.DISPUTE_LONGEST_PAUSE)
            course = await self._step("Have the reversal signed again", steps.read_dispute)
            if course.reversal is None:
                return course
            order = course.reversal
        driver = None if failure else await self._driver(order)
        pause = policies.DISPUTE_FIRST_PAUSE
        while course.state is DisputeState.REVERSING:
            if failure is None and await self._has_ended(driver, pause):
                driver = None
            course = await self._step("Check whether the reversal has ended", steps.close_dispute, failure)
            pause = min(pause * 2, policies.DISPUTE_LONGEST_PAUSE)
        return course

    async def _opened(self, order: TransferOrder) -> Failure | None:
        """Open the reversal before its workflow starts, so that recovery can find it. Returns a refusal, or None."""
        try:
            await self._activity(f"Open the reversal: {order.amount}", steps.open_transfer, order)
        except FailureError as error:
            if answer := refusal_in(error):
                return answer
            raise
        return None

    async def _driver(self, order: TransferOrder) -> "ChildWorkflowHandle[TransferWorkflow, Standing] | None":
        """The child workflow that drives the reversal. None if another workflow drives it, or has driven it."""
        try:
            return await workflow.start_child_workflow(
                TransferWorkflow.run,
                order,
                id=order.workflow_id,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                # Ending this workflow, in any way, must not stop a decided reversal.
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                task_timeout=policies.TASK_TIMEOUT,
                search_attributes=search_attributes(order),
                static_summary=summary(order),
            )
        except WorkflowAlreadyStartedError:
            return None

    async def _has_ended(
        self, driver: "ChildWorkflowHandle[TransferWorkflow, Standing] | None", within: timedelta
    ) -> bool:
        """Whether the driver has reported its end. It may never do so: a reset of this workflow can lose the report.

        So the caller does not rely on it: it reads the ledger after each pause, and after each signal.
        """
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._news or (driver is not None and driver.done()), timeout=within)
        self._news = False
        if driver is None or not driver.done():
            return False
        if lost := driver.exception():
            workflow.logger.info("The reversal lost its workflow; recovery will finish it: %s", lost)
        return True

    async def _step(
        self, label: str, step: Callable[..., Awaitable[DisputeProgress]], *arguments: Any
    ) -> DisputeProgress:
        known = self._course.state if self._course else None
        self._course = await self._activity(label, step, self._id, *arguments)
        if changes := dispute_attributes(self._course.state, self._course.disputed, known):
            workflow.upsert_search_attributes(changes)
        return self._course

    async def _activity(self, label: str, step: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await workflow.execute_activity(
            step,
            args=arguments,
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=label,
        )
