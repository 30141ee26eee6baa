"""The life of one request for a higher tier: ask the verifier, wait for staff, or expire it.

The request's row decides what happens next, and a decision takes effect with its row. This workflow may be terminated,
reset or started again at any time: it reads the row and continues from there.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from ledger.ids import TierRequestId
from tiers.tier_request import TierProgress, TierRequestState
from workflows import policies, steps


@workflow.defn
class TierRequestWorkflow:
    """Ends when the verifier or staff have decided, or at the deadline."""

    @workflow.init
    def __init__(self, request_id: TierRequestId) -> None:
        self._id = request_id
        self._news = False

    @workflow.run
    async def run(self, request_id: TierRequestId) -> TierRequestState:  # noqa: ARG002 - the constructor has taken it
        """Wait for the decision. The result is the final state in the request's row."""
        progress = await self._step("Read the request", steps.read_tier_request)
        until = workflow.now() + timedelta(seconds=progress.seconds_left)
        if progress.state is TierRequestState.OPEN:
            progress = await self._verified(progress)
        while progress.state is TierRequestState.OPEN:
            missing = progress.approvals_missing
            workflow.set_current_details(
                f"{progress.account_id} asks for tier {progress.tier}. Open until {until:%Y-%m-%d %H:%M} UTC: "
                f"{missing} approval{'s' if missing > 1 else ''} or one rejection is needed, by "
                f"`POST /v1/admin/tier-requests/{self._id}/decisions`."
            )
            left = max(until - workflow.now(), timedelta(0))
            # A lost signal must not delay the end until the deadline, so the row is read without signals, too.
            if await self._hears_within(min(left, policies.TIER_ROUTINE_READ)) or left > policies.TIER_ROUTINE_READ:
                progress = await self._step("Read what is new", steps.read_tier_request)
            else:
                progress = await self._step("Deadline: expire it, unless it is decided", steps.expire_tier_request)
        workflow.set_current_details(f"{progress.account_id} asked for tier {progress.tier}: {progress.state}.")
        return progress.state

    @workflow.signal(description="There is a new decision: read the request's row again.")
    def look_again(self) -> None:
        """The API sends this after each decision. A lost signal only delays the workflow."""
        self._news = True

    async def _verified(self, progress: TierProgress) -> TierProgress:
        """Ask the verifier, which may decide. Staff may do so before it answers, and have to if it never does."""
        workflow.set_current_details(
            f"{progress.account_id} asks for tier {progress.tier}. Waits for the verifier's answer about the document. "
            f"Staff may decide instead: `POST /v1/admin/tier-requests/{self._id}/decisions`."
        )
        try:
            return await workflow.execute_activity(
                steps.verify_tier_document,
                self._id,
                start_to_close_timeout=policies.VERIFIER_ATTEMPT,
                schedule_to_close_timeout=policies.TIER_VERIFIER_BUDGET,
                retry_policy=policies.VERIFIER_RETRY,
                summary="Ask the verifier about the document",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.info("The verifier gave no answer: staff decide")
            return progress

    async def _hears_within(self, limit: timedelta) -> bool:
        """Whether a signal has arrived within the limit."""
        try:
            await workflow.wait_condition(
                lambda: self._news, timeout=limit, timeout_summary="Next read of the row, or the deadline"
            )
        except TimeoutError:
            return False
        self._news = False
        return True

    async def _step(self, label: str, step: Callable[[TierRequestId], Awaitable[TierProgress]]) -> TierProgress:
        return await workflow.execute_activity(
            step,
            self._id,
            start_to_close_timeout=policies.REGULAR_ATTEMPT,
            retry_policy=policies.UNTIL_ANSWERED,
            summary=label,
        )
