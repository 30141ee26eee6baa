"""What staff do with transfers under way: decide, cancel, try again, give back.

The workflow and the ledger decide whether it is possible; what was done is recorded with who, why, before and after.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from api.acceptance import Acceptance
from api.engine import Engine, TemporalUnavailable, UpdateRefused
from api.problems import Problem
from ledger.ids import TransferId
from ledger.operators import Action, Actor
from ledger.postgres.operators import Operators
from ledger.postgres.oversight import Flagged, Oversight
from ledger.recovery import Stranded, transfer_driven_by
from ledger.reviews import BatchProgress, Decision, DecisionBatch, Ruling
from ledger.steering import Instruction
from ledger.transfers import State, Transfer

_PROBLEMS = {
    "nothing_to_retry": "nothing_to_retry",
    "decision_invalid": "decision_refused",
    "decision_refused": "decision_refused",
    "forbidden": "forbidden",
    "conflict_of_interest": "conflict_of_interest",
}


@dataclass(frozen=True, slots=True)
class Steering:
    """Each method raises a problem where it is too late or not this person's to do, and then nothing has changed."""

    acceptance: Acceptance
    engine: Engine
    operators: Operators
    oversight: Oversight

    async def transfer(self, transfer_id: TransferId) -> Transfer:
        """Anybody's transfer, as its row tells it now."""
        file = await self.oversight.transfer_file(transfer_id)
        if file is None:
            raise Problem("transfer_not_found", f"There is no transfer {transfer_id}.")
        return file.transfer

    async def flagged(self, *, wanted: bool) -> Flagged:
        """The transfers that Temporal marks as needing attention."""
        try:
            ids = await self.engine.needing_attention()
        except TemporalUnavailable as error:
            raise Problem("temporal_unavailable") from error
        recovered = [transfer_id for each in ids if (transfer_id := transfer_driven_by(each))]
        return Flagged(ids, recovered, wanted)

    async def decide(self, actor: Actor, transfer: Transfer, ruling: Ruling, reason: str) -> str:
        """Approve or reject a transfer in review. The same person's same word again gets the same answer."""
        await self._not_a_party(actor, [transfer])
        decision = Decision(actor.id, ruling, reason)
        answer = await self._update(transfer, "decide", decision, f"decide/{actor.id}/{ruling}")
        await self._record(actor, Action.DECIDE_REVIEW, transfer, reason, {"ruling": ruling})
        return answer

    async def retry_step(self, actor: Actor, transfer: Transfer, reason: str) -> str:
        """Try the step that is stuck once more, now."""
        answer = await self._instruct(actor, transfer, "retry_now", reason)
        await self._record(actor, Action.RETRY_STEP, transfer, reason, {"asked": "retry_now"})
        return answer

    async def give_back(self, actor: Actor, transfer: Transfer, reason: str) -> str:
        """Give an amount that is not delivered yet back to its source."""
        answer = await self._instruct(actor, transfer, "give_back", reason)
        await self._record(actor, Action.GIVE_BACK, transfer, reason, {"asked": "give_back"})
        return answer

    async def cancel(self, actor: Actor, transfer: Transfer, reason: str) -> Transfer:
        """Cancel before the debit; after it, and until the credit, have the amount given back.

        Answers with the transfer as it stands: one whose amount is on its way back is not final yet.
        """
        try:
            cancelled = await self.acceptance.cancel(transfer)
        except Problem:
            now = await self.transfer(transfer.id)
            if now.state is not State.DEBITED:
                raise
            await self._instruct(actor, now, "give_back", reason)
            cancelled = await self.transfer(transfer.id)
        await self._record(actor, Action.CANCEL_TRANSFER, transfer, reason, {"state": cancelled.state})
        return cancelled

    async def retry(self, actor: Actor, transfer: Transfer, reason: str, wait_seconds: float) -> Transfer:
        """Begin the next attempt of a failed or compensated transfer."""
        begun = await self.acceptance.retry(transfer, wait_seconds)
        after = {"state": begun.state, "attempt": begun.attempt}
        await self._record(actor, Action.RETRY_TRANSFER, transfer, reason, after)
        return begun

    async def decide_many(self, actor: Actor, transfers: Sequence[Transfer], ruling: Ruling, reason: str) -> str:
        """Start sending one decision to all these transfers; the batch's id."""
        await self._not_a_party(actor, transfers)
        batch_id = f"decisions/{secrets.token_hex(8)}"
        decision = Decision(actor.id, ruling, reason)
        try:
            await self.engine.start_batch(batch_id, DecisionBatch(decision, [each.workflow_id for each in transfers]))
        except TemporalUnavailable as error:
            raise Problem("temporal_unavailable") from error
        before, after = {"transfers": [each.id for each in transfers]}, {"ruling": ruling}
        await self.operators.record(actor, Action.DECIDE_REVIEW, batch_id, reason, before, after)
        return batch_id

    async def batch(self, batch_id: str) -> BatchProgress:
        """Where a batch stands."""
        try:
            progress = await self.engine.batch_progress(batch_id)
        except TemporalUnavailable as error:
            raise Problem("temporal_unavailable") from error
        if progress is None:
            raise Problem("batch_not_found")
        return progress

    async def _not_a_party(self, actor: Actor, transfers: Sequence[Transfer]) -> None:
        accounts = {
            account_id for each in transfers for account_id in (each.source_account_id, each.destination_account_id)
        }
        owners = {each.owner_id for each in transfers} | await self.oversight.owners(list(accounts))
        if actor.id in owners:
            raise Problem("conflict_of_interest", "Nobody decides about a transfer that they are a party of.")

    async def _instruct(self, actor: Actor, transfer: Transfer, name: str, reason: str) -> str:
        return await self._update(transfer, name, Instruction(actor.id, reason), f"{name}/{secrets.token_hex(8)}")

    async def _update(self, transfer: Transfer, name: str, argument: object, update_id: str) -> str:
        # A transfer that lost its workflow is driven by the one that recovery started.
        workflow_ids = (transfer.workflow_id, Stranded(transfer.order, transfer.state).recovery_id)
        try:
            return await self.engine.update(workflow_ids, name, argument, update_id)
        except UpdateRefused as refused:
            raise Problem(_PROBLEMS.get(refused.code, "too_late"), str(refused)) from refused
        except TemporalUnavailable as error:
            raise Problem("temporal_unavailable") from error

    async def _record(
        self, actor: Actor, action: Action, transfer: Transfer, reason: str, after: dict[str, object]
    ) -> None:
        before = {"state": transfer.state, "attempt": transfer.attempt}
        await self.operators.record(actor, action, transfer.id, reason, before, after)
