"""Holding the disputed amount on the payee's account, as an option of staff, so that nobody has to race the payee.

The ledger keeps the hold: see `ledger/postgres/reversals.py`. Here staff place and release it, under the dispute's row
lock and then the account's. A decision, the deadline and the reversal release it by themselves.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from database.answers import Keep, keeps_nothing
from database.connections import Database
from disputes.dispute import Dispute, NothingToHold, amount_to_hold, check_may_hold
from disputes.postgres.dispute_reads import DisputeFile, keep_file, lock_dispute, transfer_of_dispute
from disputes.postgres.endings import kept_by_others
from ledger.ids import DisputeId
from ledger.postgres.locks import lock_account
from ledger.postgres.reversals import Hold, hold_for, set_hold, taken_of
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import record_action
from staff.postgres.people import staff_named

if TYPE_CHECKING:
    from database.connections import Connection


class DisputeHolds:
    """All raise `Unavailable` where PostgreSQL gave no answer, and an `ActionRefused` where a rule forbids the step."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(
        self, dispute_id: DisputeId, actor: Actor, reason: str, keep: Keep[DisputeFile] = keeps_nothing
    ) -> Dispute:
        """Hold what is disputed, or as much of it as the account has free.

        A repeat holds more if more is free by then. Refuses with `NothingToHold`.
        """
        async with self._database.transaction() as connection:
            dispute = await self._open(connection, dispute_id, actor, Action.HOLD_AMOUNT)
            transfer = await transfer_of_dispute(connection, dispute)
            account = await lock_account(connection, transfer.destination_account_id)
            assert account is not None, "it was paid"
            before = await hold_for(connection, transfer.id)
            left = transfer.amount_minor - await taken_of(connection, transfer.id)
            held = min(amount_to_hold(dispute, left), account.available_minor + before.amount_minor)
            others = await kept_by_others(connection, dispute, transfer)
            if others:
                held = max(held, before.amount_minor)
            if not held:
                raise NothingToHold
            most = amount_to_hold(dispute, transfer.amount_minor) + others
            after = Hold(held, before.used_by).limited_to(most)
            await set_hold(connection, transfer.id, account.id, after)
            await _record(connection, actor, Action.HOLD_AMOUNT, dispute, reason, before.amount_minor, held)
            await keep_file(connection, dispute_id, keep)
        return replace(dispute, held_minor=held)

    async def release(
        self, dispute_id: DisputeId, actor: Actor, reason: str, keep: Keep[DisputeFile] = keeps_nothing
    ) -> Dispute:
        """Release what is held, and what a reversal under way took of it: its refund holds nothing again.

        What another dispute of the transfer may keep stays held, unless staff released it or never held for it. Where
        nothing is held, nothing changes, and it is recorded.
        """
        async with self._database.transaction() as connection:
            dispute = await self._open(connection, dispute_id, actor, Action.RELEASE_AMOUNT)
            transfer = await transfer_of_dispute(connection, dispute)
            await lock_account(connection, transfer.destination_account_id)
            before = await hold_for(connection, transfer.id)
            after = before.limited_to(await kept_by_others(connection, dispute, transfer))
            await set_hold(connection, transfer.id, transfer.destination_account_id, after)
            held = after.amount_minor
            await _record(connection, actor, Action.RELEASE_AMOUNT, dispute, reason, before.amount_minor, held)
            await keep_file(connection, dispute_id, keep)
        return replace(dispute, held_minor=held)

    async def _open(self, connection: "Connection", dispute_id: DisputeId, actor: Actor, action: Action) -> Dispute:
        """The dispute under its lock, if this person may do this to it: the role is read again, under its own lock."""
        person = await staff_named(connection, actor.id)
        check_allowed(person, action)
        dispute = await lock_dispute(connection, dispute_id)
        check_may_hold(dispute, person.id, action)
        return dispute


async def _record(
    connection: "Connection", actor: Actor, action: Action, dispute: Dispute, reason: str, before: int, after: int
) -> None:
    await record_action(connection, actor, action, dispute.id, reason, {"held": before}, {"held": after})
