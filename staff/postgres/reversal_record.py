"""The record of a reversal by staff, written in the transaction that opens the reversal."""

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, select

from customers.postgres import customers
from database.statements import fetch_value
from ledger.postgres.reversals import OpenedReversal
from ledger.postgres.tables import accounts
from ledger.refusals import NotReversible
from staff.permissions import Action, Actor, Role
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

# Whoever owns the account that the money comes back from gives it back: that is no act of staff.
_ROLE_OF_STRANGER = select(customers.c.role).where(
    customers.c.id == bindparam("customer_id"),
    ~exists().where(accounts.c.id == bindparam("account_id"), accounts.c.owner_id == bindparam("customer_id")),
)


async def record_reversal(connection: "Connection", opened: OpenedReversal) -> None:
    """Record a reversal by somebody who was not paid: staff, with their reason. A payee's own is not recorded.

    Raises `NotReversible` where staff give no reason: then nothing is opened either.
    """
    order, original, left_minor = opened.order, opened.original, opened.left_minor
    whose = {"customer_id": order.owner_id, "account_id": order.source_account_id}
    role = await fetch_value(connection, _ROLE_OF_STRANGER, **whose)
    if role is None:
        return
    if not order.note:
        raise NotReversible(original.id, "staff give their reason, and there is none")
    before = {"state": original.state, "left": left_minor}
    after = {
        "state": original.state,
        "left": left_minor - order.amount_minor if opened.fits else left_minor,
        "reversal_id": order.transfer_id,
        "amount": order.amount_minor,
        "currency": order.currency,
    }
    actor = Actor(order.owner_id, Role(role))
    await record_action(connection, actor, Action.REVERSE_TRANSFER, original.id, order.note, before, after)
