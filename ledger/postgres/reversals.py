"""Reversals in PostgreSQL: the lock on what they reverse, what is left of it, and the record of staff who reverse."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from database.connections import Database
from ledger.ids import CustomerId, TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, only, transfer_of
from ledger.postgres.transfer_reads import VISIBLE
from ledger.refusals import NotReversible, Refusal, UnknownTransfer
from ledger.reversals import decide_reversal
from ledger.transfers import Transfer, TransferOrder
from staff.permissions import Action, Actor, Role
from staff.postgres.operators import record_action

if TYPE_CHECKING:
    from database.connections import Connection

_LOCK = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1 FOR NO KEY UPDATE"

# In a statement of its own behind the lock: it sees every reversal that was written before.
_TAKEN = """
    SELECT coalesce(sum(amount_minor), 0)::bigint FROM transfers
    WHERE reverses_transfer_id = $1 AND id IS DISTINCT FROM $2 AND state NOT IN ('failed', 'cancelled', 'compensated')
"""

_ROLE_OF_STRANGER = """
    SELECT role FROM customers WHERE id = $1 AND NOT EXISTS (SELECT FROM accounts WHERE id = $2 AND owner_id = $1)
"""

_REVERSIBLE = f"""
    SELECT {TRANSFER_COLUMNS}, {VISIBLE} AS visible, source.owner_id AS payer_id, destination.owner_id AS payee_id,
        r.taken_minor, r.reversed_minor
    FROM transfers t
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS taken_minor,
            coalesce(sum(amount_minor) FILTER (WHERE state = 'completed'), 0)::bigint AS reversed_minor
        FROM transfers WHERE reverses_transfer_id = t.id AND state NOT IN ('failed', 'cancelled', 'compensated')
    ) r
    LEFT JOIN accounts source ON source.id = t.source_account_id
    LEFT JOIN accounts destination ON destination.id = t.destination_account_id
    WHERE t.id = $2
"""

_REVERSALS = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t
    WHERE t.reverses_transfer_id = $2 AND ($3 OR {VISIBLE})
        AND ($4::timestamptz IS NULL OR (t.created_at, t.id) < ($4, $5))
    ORDER BY t.created_at DESC, t.id DESC LIMIT $6
"""


@dataclass(frozen=True, slots=True)
class Reversible:
    """A transfer as somebody who wants to reverse it finds it, read without a lock: advice, and no decision.

    `payer_id` and `payee_id` own its accounts; None is the world. `taken_minor` is in reversals that are completed or
    under way, `reversed_minor` in completed ones alone.
    """

    original: Transfer
    visible: bool
    payer_id: CustomerId | None
    payee_id: CustomerId | None
    taken_minor: int
    reversed_minor: int


async def taken_of(connection: "Connection", transfer_id: TransferId) -> int:
    """How much of a transfer is in reversals that are completed or under way."""
    taken: int = await connection.fetchval(_TAKEN, transfer_id, None)
    return taken


async def hold_original(connection: "Connection", order: TransferOrder) -> Refusal | None:
    """Lock what this order reverses until the transaction ends, and say what refuses the reversal.

    All reversals of one transfer come here one after the other, each with what the ones before it have taken. Raises
    `NotReversible` and `UnknownTransfer` for orders that should never have been accepted.
    """
    assert order.reverses_transfer_id is not None
    row = await connection.fetchrow(_LOCK, order.reverses_transfer_id)
    if row is None:
        raise UnknownTransfer(order.reverses_transfer_id)
    taken = await connection.fetchval(_TAKEN, order.reverses_transfer_id, order.transfer_id)
    return decide_reversal(order, transfer_of(row), taken)


async def record_staff(connection: "Connection", order: TransferOrder, *, fits: bool) -> None:
    """Record a reversal by somebody who was not paid: staff, with their reason. A payee's own is not an action.

    With what it leaves to reverse: one that does not fit fails at once, and takes nothing. For the transaction that
    holds the original.
    """
    assert order.reverses_transfer_id is not None
    role = await connection.fetchval(_ROLE_OF_STRANGER, order.owner_id, order.source_account_id)
    if role is None:
        return
    if not order.note:
        raise NotReversible(order.reverses_transfer_id, "staff give their reason, and there is none")
    actor = Actor(order.owner_id, Role(role))
    original = transfer_of(only(await connection.fetchrow(_LOCK, order.reverses_transfer_id)))
    left = original.amount_minor - await connection.fetchval(_TAKEN, original.id, order.transfer_id)
    before = {"state": original.state, "left": left}
    after = {
        "state": original.state,
        "left": left - order.amount_minor if fits else left,
        "reversal_id": order.transfer_id,
        "amount": order.amount_minor,
        "currency": order.currency,
    }
    await record_action(connection, actor, Action.REVERSE_TRANSFER, original.id, order.note, before, after)


class Reversals:
    """Reads around reversals. All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reversible(self, reader_id: CustomerId, transfer_id: TransferId) -> Reversible | None:
        """Any transfer, and whether this customer may see it: the caller decides what else they may."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_REVERSIBLE, reader_id, transfer_id)
        if row is None:
            return None
        return Reversible(
            transfer_of(row),
            row["visible"],
            row["payer_id"],
            row["payee_id"],
            row["taken_minor"],
            row["reversed_minor"],
        )

    async def of(
        self,
        reader_id: CustomerId,
        transfer_id: TransferId,
        before: tuple[datetime, str] | None,
        limit: int,
        *,
        of_anybody: bool,
    ) -> list[Transfer]:
        """A transfer's reversals, newest first: those that the reader may see, or all of them."""
        created_at, last_id = before or (None, None)
        async with self._database.connection() as connection:
            rows = await connection.fetch(_REVERSALS, reader_id, transfer_id, of_anybody, created_at, last_id, limit)
        return [transfer_of(row) for row in rows]
