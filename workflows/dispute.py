"""The life of one dispute: wait for what people say and decide, then see to what was decided.

The dispute's row decides what happens next. This workflow may be terminated, reset or started again at any time: it
reads the row and goes on from there, and a reversal that was decided happens once, because its id follows from the row.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)

from ledger.disputes import Course, DisputeDecision, DisputeState
from ledger.ids import DisputeId
from ledger.transfers import Failure, TransferOrder
from workflows import policies, steps
from workflows.running import answer_in
from workflows.transfer import TransferWorkflow
from workflows.visibility import search_attributes, summary

_ENDINGS: Mapping[DisputeState, str] = {
    DisputeState.REVERSED: "Reversed",
    DisputeState.REVERSAL_FAILED: "Decided, but not reversed",
    DisputeState.REJECTED: "Rejected",
    DisputeState.EXPIRED: "Expired",
}
assert _ENDINGS.keys() == {state for state in DisputeState if state.is_final}


@workflow.defn
class DisputeWorkflow:
    """Waits for a decision until the deadline, and ends in a reversal or in a rejection."""

    @workflow.init
    def __init__(self, dispute_id: DisputeId) -> None:
        self._id = dispute_id
        self._course: Course | None = None
        self._news = False

    @workflow.run
    async def run(self, dispute_id: DisputeId) -> DisputeState:  # noqa: ARG002 - the constructor has taken it
        """The story. The result is what the dispute's row says in the end."""
        course = await self._step(steps.read_dispute)
        until = workflow.now() + timedelta(seconds=course.seconds_left)
        while course.state is DisputeState.OPEN:
            workflow.set_current_details(
                f"Open until {until:%Y-%m-%d %H:%M} UTC, {course.statements} statement(s), to be read at the API. "
                "Staff decide: the admin API, or the update `decide`."
            )
            course = await self._step(steps.read_dispute if await self._news_before(until) else steps.expire_dispute)
        if course.state is DisputeState.REVERSING:
            course = await self._reverse(course)
        workflow.set_current_details(f"{_ENDINGS[course.state]}. {course.outcome or ''}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return course.state

    @workflow.signal(description="Something was said or decided: look at the dispute's row again.")
    def look_again(self) -> None:
        """Sent by the API behind each write. One that is lost costs nothing but time."""
        self._news = True

    @workflow.update(
        description="Decide the dispute: the customer id of staff who are no party, `reverse` (an amount_minor, or all "
        'that is left) or `reject`, and why. {"decider": "cus_…", "ruling": "reverse", "amount_minor": 2500, '
        '"reason": "ticket 4711"}'
    )
    async def decide(self, decision: DisputeDecision) -> str:
        """Rule, once: the first decision counts."""
        try:
            self._course = await self._step(steps.decide_dispute, decision)
        except FailureError as error:
            if answer := answer_in(error):
                raise ApplicationError(answer.message, type=answer.code) from error
            raise
        self._news = True
        return f"{decision.ruling} by {decision.decider} is recorded."

    @decide.validator
    def _may_decide(self, decision: DisputeDecision) -> None:
        course = self._course
        if course is not None and course.state is not DisputeState.OPEN:
            raise ApplicationError(f"The dispute is {course.state}.", type="dispute_closed")
        if objection := decision.objection(course.parties if course else ()):
            raise ApplicationError(objection, type="decision_refused")

    async def _news_before(self, until: Any) -> bool:
        """Whether there is something to look at. The deadline alone is none."""
        left = max(until - workflow.now(), timedelta(0))
        try:
            await workflow.wait_condition(lambda: self._news, timeout=left)
        except TimeoutError:
            return False
        self._news = False
        return True

    async def _reverse(self, course: Course) -> Course:
        """Have what was decided done by a transfer like any other, and wait for its end, whoever drives it."""
        pause = policies.DISPUTE_FIRST_LOOK
        while course.state is DisputeState.REVERSING:
            assert course.reversal is not None
            workflow.set_current_details(
                f"Decided: reversing {course.reversal.amount}. See {course.reversal.workflow_id}."
            )
            failure = await self._transferred(course.reversal)
            course = await self._step(steps.close_dispute, failure)
            if course.state is DisputeState.REVERSING:
                # The reversal has another driver than the one awaited here, or none: recovery sees to it.
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, policies.DISPUTE_LONGEST_LOOK)
        return course

    async def _transferred(self, order: TransferOrder) -> Failure | None:
        """Why the reversal could not even begin; None: the ledger says how it goes."""
        try:
            # Written down before its workflow starts, so that recovery knows of it whatever happens next.
            await self._activity(steps.open_transfer, order)
        except FailureError as error:
            if answer := answer_in(error):
                return answer
            raise
        try:
            await workflow.execute_child_workflow(
                TransferWorkflow.run,
                order,
                id=order.workflow_id,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=policies.TASK_TIMEOUT,
                search_attributes=search_attributes(order),
                static_summary=summary(order),
            )
        except (WorkflowAlreadyStartedError, ChildWorkflowError) as error:
            workflow.logger.info("The reversal has another driver, or lost its own: %s", error)
        return None

    async def _step(self, step: Callable[..., Awaitable[Course]], *arguments: Any) -> Course:
        self._course = await self._activity(step, self._id, *arguments)
        return self._course

    async def _activity(self, step: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await workflow.execute_activity(
            step,
            args=arguments,
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=f"{step.__name__.replace('_', ' ').capitalize()}",
        )
