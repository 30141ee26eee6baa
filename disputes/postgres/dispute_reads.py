"""Reads of disputes: a dispute's row, its statements, its transfer, and what its workflow asks. Nothing is written."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, bindparam, extract, func, select

from database.answers import Keep, keeps_nothing
from database.metadata import CLOCK, Timestamp
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first, fetch_only, fetch_value, locked
from disputes.dispute import Dispute, DisputeProgress, DisputeState, NoSuchDispute, reversal_for
from disputes.postgres.tables import dispute_statements, disputes
from ledger.ids import CustomerId, DisputeId, TransferId
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import holds, transfers
from ledger.transfers import Transfer
from staff.permissions import Action
from staff.postgres.tables import staff_actions

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class DisputeStatement:
    """What a party wrote, and when."""

    author_id: CustomerId
    text: str
    stated_at: datetime


# A dispute and its statements, oldest first.
DisputeFile = tuple[Dispute, list[DisputeStatement]]

FIND_TRANSFER = select(*TRANSFER).where(transfers.c.id == bindparam("transfer_id"))

THIS_DISPUTE = disputes.c.id == bindparam("dispute_id")
_LOCK = locked(select(disputes).where(THIS_DISPUTE))


def of_decision(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    """What the record of the decision has in this column."""
    decided = (staff_actions.c.subject == disputes.c.id, staff_actions.c.action == Action.DECIDE_DISPUTE)
    return select(column).where(*decided).correlate(disputes).scalar_subquery()


_HELD = select(holds.c.amount_minor).where(holds.c.transfer_id == disputes.c.transfer_id).correlate(disputes)

READ_DISPUTES = select(
    disputes,
    of_decision(staff_actions.c.channel).label("decided_channel"),
    func.coalesce(_HELD.scalar_subquery(), 0).label("held_minor"),
)
FIND_DISPUTE = READ_DISPUTES.where(THIS_DISPUTE)

_STATEMENTS = (
    select(*columns_for(DisputeStatement, dispute_statements))
    .where(dispute_statements.c.dispute_id == bindparam("dispute_id"))
    .order_by(dispute_statements.c.id)
)
COUNT_STATEMENTS = select(func.count()).where(dispute_statements.c.dispute_id == bindparam("dispute_id"))

_SECONDS_LEFT = select(
    func.greatest(0, extract("epoch", bindparam("deadline", type_=Timestamp) - CLOCK)).cast(BigInteger)
)


async def read_file(connection: "Connection", dispute_id: DisputeId) -> DisputeFile | None:
    """The dispute and its statements. None: there is no such dispute."""
    row = await fetch_first(connection, FIND_DISPUTE, dispute_id=dispute_id)
    if row is None:
        return None
    statements = await fetch(connection, _STATEMENTS, dispute_id=dispute_id)
    return dispute_of(row), [dataclass_of(DisputeStatement, statement) for statement in statements]


async def keep_file(connection: "Connection", dispute_id: DisputeId, keep: Keep[DisputeFile]) -> None:
    """Keep the dispute and its statements, as this transaction leaves them, as an answer."""
    if keep is keeps_nothing:
        return
    file = await read_file(connection, dispute_id)
    assert file is not None, "its row is locked"
    await keep(connection, file)


async def lock_dispute(connection: "Connection", dispute_id: DisputeId) -> Dispute:
    """The dispute under its lock. Raises `NoSuchDispute`."""
    row = await fetch_first(connection, _LOCK, dispute_id=dispute_id)
    if row is None:
        raise NoSuchDispute(dispute_id)
    return dispute_of(row)


async def transfer_of_dispute(connection: "Connection", dispute: Dispute) -> Transfer:
    """The transfer that is disputed: it is completed, and never changes again."""
    return await read_transfer(connection, dispute.transfer_id)


async def read_transfer(connection: "Connection", transfer_id: TransferId) -> Transfer:
    """The transfer with this id, which exists."""
    return transfer_of(await fetch_only(connection, FIND_TRANSFER, transfer_id=transfer_id))


async def progress_of(connection: "Connection", dispute: Dispute) -> DisputeProgress:
    """What the workflow of the dispute needs to know."""
    transfer = await transfer_of_dispute(connection, dispute)
    return DisputeProgress(
        state=dispute.state,
        seconds_left=await fetch_value(connection, _SECONDS_LEFT, deadline=dispute.deadline),
        statements=await fetch_value(connection, COUNT_STATEMENTS, dispute_id=dispute.id),
        parties=dispute.parties,
        reversal=reversal_for(dispute, transfer) if dispute.state is DisputeState.REVERSING else None,
        outcome=dispute.outcome,
        transfer_id=dispute.transfer_id,
        disputed=transfer.order,
    )


def dispute_of(row: Row) -> Dispute:
    """A row of `disputes`, with or without what `READ_DISPUTES` adds to it."""
    return dataclass_of(Dispute, row)
