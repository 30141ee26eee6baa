"""Who may decide about a held batch: nobody who is a party of it, and two people from the amount on that needs two.

What is approved is posted without a further review, so a batch asks for as much as the reviews of its items would.
"""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from batches.batch import BatchNotHeld, BatchState
from batches.postgres.batches import BatchWithCounts, change_by_staff, lock_batch, with_counts
from database.answers import Keep, keeps_nothing
from database.connections import Database
from ledger.ids import BatchId
from ledger.money import major_to_minor
from staff.permissions import Action, Actor, ConflictOfInterest, check_allowed
from staff.postgres.actions import record_action
from staff.postgres.people import find_too_young

if TYPE_CHECKING:
    from database.connections import Connection

_IS_PARTY = """
    SELECT EXISTS (
        SELECT FROM accounts a WHERE a.owner_id = $2 AND a.id IN (
            SELECT source_account_id FROM batch_items WHERE batch_id = $1
            UNION ALL SELECT destination_account_id FROM batch_items WHERE batch_id = $1))
"""
_LARGEST = "SELECT currency, max(amount_minor) AS amount_minor FROM batch_items WHERE batch_id = $1 GROUP BY currency"


class HeldBatches:
    """Raises `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call under its key."""

    def __init__(self, database: Database, four_eyes_from_major: int | None, four_eyes_after: timedelta) -> None:
        """As for reviews: two deciders from this amount on, whose roles are as old as `four_eyes_after`."""
        self._database = database
        self._four_eyes_from_major = four_eyes_from_major
        self._four_eyes_after = four_eyes_after

    async def decide(
        self,
        actor: Actor,
        batch_id: BatchId,
        reason: str,
        keep: Keep[BatchWithCounts] = keeps_nothing,
        *,
        approve: bool,
    ) -> BatchWithCounts:
        """Let a held batch go on, or refuse it as a whole: one rejection is enough. Raises `BatchNotHeld`.

        Behind the first of two approvals the batch is as before, and a repeat by the same person changes nothing.
        Raises `ConflictOfInterest` for its owner and for whoever owns an account in it, and `RoleTooYoung`.
        """
        check_allowed(actor, Action.DECIDE_BATCH)
        async with self._database.transaction() as connection:
            batch = await lock_batch(connection, batch_id)
            if batch.owner_id == actor.id or await connection.fetchval(_IS_PARTY, batch_id, actor.id):
                raise ConflictOfInterest(Action.DECIDE_BATCH)
            if batch.state is not BatchState.HELD:
                raise BatchNotHeld(batch_id, batch.state)
            found = await with_counts(connection, batch)
            if (
                approve
                and await self._needs_two(connection, batch_id)
                and not await self._is_second(connection, actor, found, reason)
            ):
                decided = replace(found, approved_by=found.approved_by or actor.id)
            else:
                state = BatchState.ACCEPTED if approve else BatchState.REFUSED
                decided = await change_by_staff(connection, batch, state, actor, Action.DECIDE_BATCH, reason)
            await keep(connection, decided)
        return decided

    async def _needs_two(self, connection: "Connection", batch_id: BatchId) -> bool:
        threshold = self._four_eyes_from_major
        if threshold is None:
            return False
        rows = await connection.fetch(_LARGEST, batch_id)
        return any(row["amount_minor"] >= major_to_minor(threshold, row["currency"]) for row in rows)

    async def _is_second(self, connection: "Connection", actor: Actor, found: BatchWithCounts, reason: str) -> bool:
        """Whether somebody else has approved it already. If nobody has, this approval is recorded as the first."""
        if too_young := await find_too_young(connection, actor.id, self._four_eyes_after):
            raise too_young
        batch, first = found.batch, found.approved_by
        if first is None:
            before, after = {"state": batch.state}, {"state": batch.state, "approvals": 1}
            await record_action(connection, actor, Action.DECIDE_BATCH, batch.id, reason, before, after)
        return first not in (None, actor.id)
