"""What staff do with transfers under way: cancel, try again, retry a stuck step, give back.

The workflow and the ledger decide whether it is possible. Each action is recorded before it is sent, and its outcome
afterwards. So whatever crashes in between, nothing is done without a record.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from api.http.problems import Problem
from api.temporal import NO_WORKFLOW, TemporalGateway, UpdateRefused
from api.transfers.acceptance import Acceptance
from api.transfers.reversal_checks import check_left, check_may_retry_reversal
from disputes.postgres.disputes import Disputes
from disputes.postgres.late_reversals import LateReversals
from ledger.ids import ActionId, TransferId
from ledger.postgres.reversals import Reversals
from ledger.transfers import State, Transfer
from ledger.workflow_ids import transfer_resumed_by
from staff.actions import UPDATE_NAMES, NotTaken, Outcome, StaffAction, Taken, update_id_for
from staff.permissions import Action, Actor
from staff.postgres.actions import StaffActions
from staff.postgres.transfer_file import TransferFiles
from staff.postgres.transfer_search import Flagged
from staff.update_input import StaffRequest
from workflows.policies import LOCAL_ATTEMPT

# The problems that refuse an action: nothing has changed, and its record says so.
_REFUSALS = frozenset(
    {
        "attempts_used_up",
        "conflict_of_interest",
        "forbidden",
        "not_retryable",
        "not_staff",
        "nothing_to_retry",
        "reversal_too_large",
        "sandbox_rails_off",
        "too_late",
        "too_late_to_cancel",
        "transaction_id_reused",
        "transfer_altered",
        "validation_failed",
        "workflow_lost",
    }
)

# Why a workflow refuses an update, and the problem that the API answers.
_REFUSED_UPDATES = {
    "conflict_of_interest": "conflict_of_interest",
    "not_staff": "not_staff",
    "nothing_to_retry": "nothing_to_retry",
    "request_invalid": "validation_failed",
    "too_late": "too_late",
    NO_WORKFLOW: "too_late",
}

# A credit that is under way when somebody cancels is answered within the limits of one attempt.
CREDIT_SECONDS = LOCAL_ATTEMPT.total_seconds()
# The pause between two sweeps of recovery, unless the settings have another one.
RECOVERY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """What an action was answered; `replayed`: by an earlier request of the same person for the same."""

    answer: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Interventions:
    """Each method raises a problem if it is too late or not this person's to do, and then nothing has changed.

    A party of a transfer does none of this with it: that raises `ConflictOfInterest`, and nothing is recorded.
    """

    acceptance: Acceptance
    temporal: TemporalGateway
    actions: StaffActions
    transfer_files: TransferFiles
    reversals: Reversals
    disputes: Disputes
    late_reversals: LateReversals

    async def transfer(self, transfer_id: TransferId) -> Transfer:
        """Anybody's transfer, as its row is now. Raises a problem (404)."""
        found = await self.transfer_files.find_transfer(transfer_id)
        if found is None:
            raise Problem("transfer_not_found", f"There is no transfer {transfer_id}.")
        return found

    async def flagged(self, *, wanted: bool) -> Flagged:
        """The transfers that Temporal marks as needing attention."""
        ids = await self.temporal.needing_attention()
        recovered = [transfer_id for each in ids if (transfer_id := transfer_resumed_by(each))]
        return Flagged(ids, recovered, wanted)

    async def retry_step(self, actor: Actor, transfer: Transfer, reason: str, key: str | None) -> ActionAnswer:
        """Retry the step that is stuck, now."""
        return await self._request_update(actor, Action.RETRY_STEP, transfer, reason, key)

    async def give_back(self, actor: Actor, transfer: Transfer, reason: str, key: str | None) -> ActionAnswer:
        """Return an amount that is not delivered yet to its source."""
        return await self._request_update(actor, Action.GIVE_BACK, transfer, reason, key)

    async def cancel(
        self, actor: Actor, transfer: Transfer, reason: str, key: str | None
    ) -> tuple[Transfer, ActionAnswer]:
        """Cancel before the debit; after it, and until the credit, have the amount given back.

        Answers with the transfer as it is now: while the amount is on its way back it is not final. Raises a problem
        (409) if a credit that was under way has delivered it meanwhile.
        """

        async def send(action: StaffAction) -> Taken:
            try:
                state = (await self.acceptance.cancel(transfer)).state
            except Problem as problem:
                now = await self.transfer(transfer.id)
                if problem.code != "too_late_to_cancel" or now.state is not State.DEBITED:
                    raise
                state = await self._cancel_in_transit(actor, now, reason, action.id)
            return Taken(f"The transfer is {state}.", {"state": state, "attempt": transfer.attempt})

        recorded = await self.actions.request(actor, Action.CANCEL_TRANSFER, transfer, reason, key)
        answer = await self._carry_out(recorded, send)
        return await self.transfer(transfer.id), answer

    async def retry(
        self, actor: Actor, transfer: Transfer, reason: str, wait_seconds: float, key: str | None
    ) -> tuple[Transfer, ActionAnswer]:
        """Begin the next attempt of a failed or compensated transfer.

        A reversal is an admin's to try again, or of any staff if a dispute was decided so, and must still fit.
        """

        async def send(action: StaffAction) -> Taken:
            # A request whose answer was lost may have begun its attempt, and is no reason for one more.
            assert action.before is not None, "requests record the transfer's state"
            is_begun = transfer.attempt > action.before["attempt"]
            if not is_begun:
                await check_left(self.reversals, actor.id, transfer)
            begun = transfer if is_begun else await self.acceptance.retry(transfer, wait_seconds)
            return Taken(f"Attempt {begun.attempt} is {begun.state}.", _standing(begun))

        await self.actions.check_no_party(actor, Action.RETRY_TRANSFER, transfer)
        await check_may_retry_reversal(self.disputes, actor, transfer)
        recorded = await self.actions.request(actor, Action.RETRY_TRANSFER, transfer, reason, key)
        answer = await self._carry_out(recorded, send)
        if transfer.reverses_transfer_id is not None:
            # Recovery does it for a retry that ends later.
            await self.late_reversals.end_of(transfer.id)
        return await self.transfer(transfer.id), answer

    async def _carry_out(self, recorded: StaffAction, send: Callable[[StaffAction], Awaitable[Taken]]) -> ActionAnswer:
        """Send what is recorded, and record its outcome. A request that was taken before is answered as before.

        Whatever else is raised (`TemporalUnavailable`, `Unavailable`) is no answer, and its outcome stays unknown: the
        same request again sends it again, and everything that it may be sent by is safe to repeat.
        """
        if recorded.outcome is Outcome.TAKEN:
            assert recorded.answer is not None, "a request that was taken has its answer"
            return ActionAnswer(recorded.answer, replayed=True)
        try:
            taken = await send(recorded)
        except Problem as problem:
            if problem.code not in _REFUSALS:
                raise LookupError(f"Is {problem.code} a refusal?") from problem
            await self.actions.conclude(recorded.id, NotTaken(problem.code, problem.detail))
            raise
        await self.actions.conclude(recorded.id, taken)
        return ActionAnswer(taken.answer, replayed=False)

    async def _request_update(
        self, actor: Actor, action: Action, transfer: Transfer, reason: str, key: str | None
    ) -> ActionAnswer:
        async def send(recorded: StaffAction) -> Taken:
            answer = await self._update(transfer, action, StaffRequest(actor.id, reason, recorded.id), recorded.id)
            return Taken(answer, _standing(await self.transfer(transfer.id)))

        return await self._carry_out(await self.actions.request(actor, action, transfer, reason, key), send)

    async def _cancel_in_transit(self, actor: Actor, transfer: Transfer, reason: str, action_id: ActionId) -> State:
        """Have the amount given back, and wait to learn whether the credit was first."""
        refused: Problem | None = None
        try:
            await self._update(transfer, Action.GIVE_BACK, StaffRequest(actor.id, reason, action_id), action_id)
        except Problem as problem:
            if problem.code != "too_late":
                raise
            refused = problem
        state = (await self.acceptance.until_final(transfer, CREDIT_SECONDS)).state
        if state is State.COMPLETED:
            raise Problem("too_late_to_cancel", f"The transfer is {state}.")
        if refused is not None:
            raise refused
        return state

    async def _update(self, transfer: Transfer, action: Action, request: StaffRequest, action_id: ActionId) -> str:
        try:
            return await self.temporal.update(transfer, UPDATE_NAMES[action], request, update_id_for(action, action_id))
        except UpdateRefused as refused:
            # A workflow that ended before it answered may have recorded the request as taken.
            if refused.code == NO_WORKFLOW and (answer := await self.actions.answer_to(action_id)):
                return answer
            if refused.code == NO_WORKFLOW and (await self.transfer(transfer.id)).state is State.DEBITED:
                raise _in_transit() from refused
            raise Problem(_REFUSED_UPDATES[refused.code], str(refused)) from refused


def _in_transit() -> Problem:
    detail = "The amount is in transit and no workflow drives it just now: recovery drives it on. Ask again then."
    return Problem("workflow_lost", detail, headers={"Retry-After": str(RECOVERY_SECONDS)})


def _standing(transfer: Transfer) -> dict[str, Any]:
    return {"state": transfer.state, "attempt": transfer.attempt}
