"""How a dispute ends: its row, what is held for it, and a message to each party, in one transaction."""

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from database.metadata import CLOCK
from database.statements import execute, fetch_only, fetch_value, one_of
from disputes.dispute import Dispute, DisputeState, amount_held_after
from disputes.notices import Notice, of_end
from disputes.postgres.dispute_reads import dispute_of
from disputes.postgres.tables import disputes
from ledger.ids import TransferId
from ledger.postgres.reversals import lock_hold, set_hold
from ledger.transfers import Transfer
from notifications.postgres import notifications
from staff.permissions import Action
from staff.postgres.tables import staff_actions

if TYPE_CHECKING:
    from database.connections import Connection

_KEEPING = (DisputeState.OPEN, DisputeState.REVERSING, DisputeState.REVERSAL_FAILED)
# What staff did last about the hold of a dispute. One for which they held nothing, or released it, keeps none.
_LAST_ABOUT_HOLD = (
    select(staff_actions.c.action)
    .where(
        staff_actions.c.subject == disputes.c.id,
        one_of(staff_actions.c.action, (Action.HOLD_AMOUNT, Action.RELEASE_AMOUNT)),
    )
    .order_by(staff_actions.c.recorded_at.desc(), staff_actions.c.id.desc())
    .limit(1)
)
# An open dispute may keep all of it.
_KEPT_BY_OTHERS = select(
    func.coalesce(func.sum(func.coalesce(disputes.c.amount_minor, bindparam("amount_minor", type_=BigInteger))), 0)
).where(
    disputes.c.transfer_id == bindparam("transfer_id"),
    disputes.c.id != bindparam("dispute_id"),
    one_of(disputes.c.state, _KEEPING),
    _LAST_ABOUT_HOLD.scalar_subquery() == Action.HOLD_AMOUNT,
)


async def end_dispute(
    connection: "Connection",
    dispute: Dispute,
    transfer: Transfer,
    state: DisputeState,
    outcome: str,
    reversal_id: TransferId | None,
) -> Dispute:
    """End a dispute, under its lock: its row, what is held for it, and a message to each party."""
    changed = update(disputes).where(disputes.c.id == dispute.id)
    changed = changed.values(
        state=state, outcome=outcome, reversal_transfer_id=reversal_id, updated_at=CLOCK, closed_at=CLOCK
    )
    ended = dispute_of(await fetch_only(connection, changed.returning(disputes)))
    await limit_hold(connection, ended, transfer)
    # A reversal that is retried with success ends its dispute once more, and says so once more.
    occasion = "reversed" if dispute.state is DisputeState.REVERSAL_FAILED else "ended"
    await write_messages(connection, ended, transfer, of_end(ended, transfer, occasion))
    return ended


async def write_messages(connection: "Connection", dispute: Dispute, transfer: Transfer, notices: list[Notice]) -> None:
    """Write each party their message, at the account that the transfer left or reached. A repeat writes none."""
    written = [
        {
            "transfer_id": transfer.id,
            "attempt": transfer.attempt,
            "account_id": transfer.source_account_id
            if notice.to == dispute.payer_id
            else transfer.destination_account_id,
            "customer_id": notice.to,
            "occasion": notice.occasion,
            "body": notice.body,
        }
        for notice in notices
    ]
    if written:
        await execute(connection, insert_or_skip(notifications).values(written).on_conflict_do_nothing())


async def limit_hold(connection: "Connection", dispute: Dispute, transfer: Transfer) -> None:
    """Release what no dispute of the transfer may keep any more, in the transaction that changes this one."""
    hold = await lock_hold(connection, transfer)
    if hold is None:
        return
    # Read under the account's lock: of two disputes that end at once, the second one sees that the first has ended.
    others = await kept_by_others(connection, dispute, transfer)
    most = amount_held_after(dispute.state, dispute.amount_minor) + others
    await set_hold(connection, transfer.id, transfer.destination_account_id, hold.limited_to(most))


async def kept_by_others(connection: "Connection", dispute: Dispute, transfer: Transfer) -> int:
    """The most that other disputes of the transfer may keep held. Final only under the account's lock."""
    return int(
        await fetch_value(
            connection,
            _KEPT_BY_OTHERS,
            dispute_id=dispute.id,
            transfer_id=transfer.id,
            amount_minor=transfer.amount_minor,
        )
    )
