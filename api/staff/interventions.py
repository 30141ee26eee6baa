"""What staff do with transfers under way: decide, cancel, try again, give back.

The workflow and the ledger decide whether it is possible. What is asked is recorded before it is sent, and what came of
it afterwards; the workflow's own record names the first one. So whatever crashes in between, nothing is done without a
record.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from api.http.problems import Problem
from api.temporal import NO_WORKFLOW, TemporalGateway, UpdateRefused
from api.transfers.acceptance import Acceptance
from api.transfers.reversal_checks import check_left, check_may_retry_reversal
from disputes.postgres.disputes import Disputes
from ledger.ids import ActionId, TransferId
from ledger.postgres.reversals import Reversals
from ledger.recovery import Stranded, transfer_driven_by
from ledger.transfers import Kind, State, Transfer
from reviews.review import BatchProgress, Decision, DecisionBatch, Ruling
from staff.actions import Conclusion, Intended, Intention
from staff.instructions import Instruction
from staff.permissions import Action, Actor, ConflictOfInterest
from staff.postgres.operators import Operators
from staff.postgres.transfer_file import TransferFiles
from staff.postgres.transfer_search import Flagged, TransferSearches
from workflows.policies import LOCAL_ATTEMPT

_PROBLEMS = {
    "nothing_to_retry": "nothing_to_retry",
    "decision_invalid": "decision_refused",
    "decided_already": "decision_refused",
    "not_staff": "forbidden",
    "conflict_of_interest": "conflict_of_interest",
}

# A credit that is under way when somebody cancels is answered within the limits of one attempt.
CREDIT_SECONDS = LOCAL_ATTEMPT.total_seconds()
# How often recovery looks for what lost its workflow, unless the settings say otherwise.
RECOVERY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Steered:
    """What an action was answered; `replayed`: by an earlier request of the same person for the same."""

    answer: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Interventions:
    """Each method raises a problem where it is too late or not this person's to do, and then nothing has changed.

    Nobody steers a transfer that they are a party of: that raises `ConflictOfInterest`, and nothing is recorded.
    """

    acceptance: Acceptance
    temporal: TemporalGateway
    operators: Operators
    transfer_searches: TransferSearches
    transfer_files: TransferFiles
    reversals: Reversals
    disputes: Disputes

    async def transfer(self, transfer_id: TransferId) -> Transfer:
        """Anybody's transfer, as its row tells it now."""
        file = await self.transfer_files.read(transfer_id)
        if file is None:
            raise Problem("transfer_not_found", f"There is no transfer {transfer_id}.")
        return file.transfer

    async def flagged(self, *, wanted: bool) -> Flagged:
        """The transfers that Temporal marks as needing attention."""
        ids = await self.temporal.needing_attention()
        recovered = [transfer_id for each in ids if (transfer_id := transfer_driven_by(each))]
        return Flagged(ids, recovered, wanted)

    async def decide(self, actor: Actor, transfer: Transfer, ruling: Ruling, reason: str) -> Steered:
        """Approve or reject a transfer in review. The same person's same word again is the same action."""
        await self._check_no_party(actor, Action.DECIDE_REVIEW, [transfer])

        async def send(intended: Intended) -> Conclusion:
            decision = Decision(actor.id, ruling, reason, intended.action_id)
            answer = await self._update(transfer, "decide", decision, f"decide/{actor.id}/{ruling}")
            return Conclusion(answer, after={"ruling": ruling} | await self._stands(transfer))

        word = f"decide/{transfer.id}/{transfer.attempt}/{ruling}"
        wanted = _intention(actor, Action.DECIDE_REVIEW, transfer, reason, {"ruling": ruling})
        return await self._do(replace(wanted, request=word), send)

    async def retry_step(self, actor: Actor, transfer: Transfer, reason: str, key: str | None) -> Steered:
        """Try the step that is stuck once more, now."""
        return await self._instruct(actor, Action.RETRY_STEP, transfer, "retry_now", reason, key)

    async def give_back(self, actor: Actor, transfer: Transfer, reason: str, key: str | None) -> Steered:
        """Give an amount that is not delivered yet back to its source."""
        return await self._instruct(actor, Action.GIVE_BACK, transfer, "give_back", reason, key)

    async def cancel(self, actor: Actor, transfer: Transfer, reason: str, key: str | None) -> tuple[Transfer, Steered]:
        """Cancel before the debit; after it, and until the credit, have the amount given back.

        Answers with the transfer as it stands: one whose amount is on its way back may not be final yet. Raises a
        problem (409) where a credit that was under way has delivered it meanwhile.
        """
        await self._check_no_party(actor, Action.CANCEL_TRANSFER, [transfer])

        async def send(intended: Intended) -> Conclusion:
            try:
                state = (await self.acceptance.cancel(transfer)).state
            except Problem:
                now = await self.transfer(transfer.id)
                if now.state is not State.DEBITED:
                    raise
                state = await self._cancel_in_transit(actor, now, reason, intended.action_id)
            return Conclusion(f"The transfer is {state}.", after={"state": state, "attempt": transfer.attempt})

        wanted = _intention(actor, Action.CANCEL_TRANSFER, transfer, reason)
        steered = await self._do(replace(wanted, key=key), send)
        return await self.transfer(transfer.id), steered

    async def retry(
        self, actor: Actor, transfer: Transfer, reason: str, wait_seconds: float, key: str | None
    ) -> tuple[Transfer, Steered]:
        """Begin the next attempt of a failed or compensated transfer.

        A reversal is an admin's to try again, or of any staff where a dispute was decided so, and must still fit.
        """
        await self._check_no_party(actor, Action.RETRY_TRANSFER, [transfer])
        await check_may_retry_reversal(self.disputes, actor, transfer)

        async def send(intended: Intended) -> Conclusion:
            # An intention whose answer was lost may have begun its attempt, and is no reason for one more.
            is_begun = transfer.attempt > intended.before["attempt"]
            if not is_begun:
                await check_left(self.reversals, actor.id, transfer)
            begun = transfer if is_begun else await self.acceptance.retry(transfer, wait_seconds)
            after = {"state": begun.state, "attempt": begun.attempt}
            return Conclusion(f"Attempt {begun.attempt} is {begun.state}.", after=after)

        wanted = _intention(actor, Action.RETRY_TRANSFER, transfer, reason)
        steered = await self._do(replace(wanted, key=key), send)
        return await self.transfer(transfer.id), steered

    async def decide_many(self, actor: Actor, transfers: Sequence[Transfer], ruling: Ruling, reason: str) -> str:
        """Start sending one decision to all these transfers; the batch's id."""
        await self._check_no_party(actor, Action.DECIDE_REVIEW, transfers)
        batch_id = f"decisions/{secrets.token_hex(8)}"

        async def send(intended: Intended) -> Conclusion:
            decision = Decision(actor.id, ruling, reason, intended.action_id)
            batch = DecisionBatch(decision, [each.workflow_id for each in transfers])
            await self.temporal.start_batch(batch_id, batch)
            return Conclusion(f"Sent to {len(transfers)} transfers.", after={"ruling": ruling})

        before = {"transfers": [each.id for each in transfers]}
        wanted = Intention(actor, Action.DECIDE_REVIEW, batch_id, reason, before, {"ruling": ruling})
        await self._do(wanted, send)
        return batch_id

    async def batch(self, batch_id: str) -> BatchProgress:
        """Where a batch stands."""
        progress = await self.temporal.batch_progress(batch_id)
        if progress is None:
            raise Problem("batch_not_found")
        return progress

    async def _check_no_party(self, actor: Actor, action: Action, transfers: Sequence[Transfer]) -> None:
        accounts = {
            account_id for each in transfers for account_id in (each.source_account_id, each.destination_account_id)
        }
        # Staff who asked for a reversal between others hold none of its accounts, and stay free to steer it.
        owners = {each.owner_id for each in transfers if each.kind is not Kind.REVERSAL}
        if actor.id in owners | await self.transfer_searches.owners(list(accounts)):
            raise ConflictOfInterest(action)

    async def _do(self, wanted: Intention, send: Callable[[Intended], Awaitable[Conclusion]]) -> Steered:
        """Record what is wanted, send it, and record what came of it.

        Where nobody knows whether it was taken, nothing is concluded: the same request again sends it again, and every
        way it is sent by may be repeated.
        """
        intended = await self.operators.intend(wanted)
        if intended.taken is not None:
            await self.operators.conclude(intended.action_id, intended.taken)
            return Steered(intended.taken.answer, replayed=True)
        try:
            conclusion = await send(intended)
        except Problem as problem:
            if problem.meaning.status < HTTPStatus.INTERNAL_SERVER_ERROR or problem.code == "workflow_lost":
                await self.operators.conclude(intended.action_id, Conclusion(problem.detail, problem.code))
            raise
        await self.operators.conclude(intended.action_id, conclusion)
        return Steered(conclusion.answer, replayed=False)

    async def _instruct(
        self, actor: Actor, action: Action, transfer: Transfer, name: str, reason: str, key: str | None
    ) -> Steered:
        await self._check_no_party(actor, action, [transfer])

        async def send(intended: Intended) -> Conclusion:
            answer = await self._send_instruction(actor, transfer, name, reason, intended.action_id)
            return Conclusion(answer, after={"asked": name} | await self._stands(transfer))

        return await self._do(replace(_intention(actor, action, transfer, reason), key=key), send)

    async def _cancel_in_transit(self, actor: Actor, transfer: Transfer, reason: str, action_id: ActionId) -> State:
        """Have the amount given back, and see whether the credit was first."""
        refused: Problem | None = None
        try:
            await self._send_instruction(actor, transfer, "give_back", reason, action_id)
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

    async def _stands(self, transfer: Transfer) -> dict[str, Any]:
        """Where the transfer stands once it took what was asked: on its way, mostly."""
        return _standing(await self.transfer(transfer.id))

    async def _send_instruction(
        self, actor: Actor, transfer: Transfer, name: str, reason: str, action_id: ActionId
    ) -> str:
        return await self._update(transfer, name, Instruction(actor.id, reason, action_id), f"{name}/{action_id}")

    async def _update(self, transfer: Transfer, name: str, argument: object, update_id: str) -> str:
        # A transfer that lost its workflow is driven by the one that recovery started.
        workflow_ids = (transfer.workflow_id, Stranded(transfer.order, transfer.state).recovery_id)
        try:
            return await self.temporal.update(workflow_ids, name, argument, update_id)
        except UpdateRefused as refused:
            is_lost = refused.code == NO_WORKFLOW and name != "decide"
            if is_lost and (await self.transfer(transfer.id)).state is State.DEBITED:
                raise _in_transit() from refused
            raise Problem(_PROBLEMS.get(refused.code, "too_late"), str(refused)) from refused


def _in_transit() -> Problem:
    detail = "The amount is in transit and no workflow drives it just now: recovery drives it on. Ask again then."
    return Problem("workflow_lost", detail, headers={"Retry-After": str(RECOVERY_SECONDS)})


def _intention(
    actor: Actor, action: Action, transfer: Transfer, reason: str, asked: dict[str, str] | None = None
) -> Intention:
    return Intention(actor, action, transfer.id, reason, _standing(transfer), asked)


def _standing(transfer: Transfer) -> dict[str, Any]:
    return {"state": transfer.state, "attempt": transfer.attempt}
