"""Reversals in PostgreSQL: the lock on what they reverse, and how much of it is left."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from database.connections import Database
from ledger.ids import CustomerId, TransferId
from ledger.postgres.locks import lock_transfer
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of
from ledger.postgres.transfer_reads import VISIBLE
from ledger.refusals import Refusal
from ledger.reversals import decide_reversal
from ledger.transfers import Transfer, TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection

# In a statement of its own behind the lock: it sees every reversal that was written before.
_TAKEN = """
    SELECT coalesce(sum(amount_minor), 0)::bigint FROM transfers
    WHERE reverses_transfer_id = $1 AND id IS DISTINCT FROM $2 AND state NOT IN ('failed', 'cancelled', 'compensated')
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


@dataclass(frozen=True, slots=True)
class OpenedReversal:
    """A reversal that is being opened, under the lock of what it reverses.

    `left_minor` is what can be brought back of the original without this one; where it does not fit, this one takes
    nothing.
    """

    order: TransferOrder
    original: Transfer
    left_minor: int
    refusal: Refusal | None

    @property
    def fits(self) -> bool:
        """Whether the original has as much left as this reversal takes."""
        return self.refusal is None


# Whoever keeps records of reversals writes them in the transaction that opens the reversal.
RecordReversal = Callable[["Connection", OpenedReversal], Awaitable[None]]


async def lock_original(connection: "Connection", order: TransferOrder) -> OpenedReversal:
    """Lock what this order reverses until the transaction ends, and decide whether the reversal fits.

    All reversals of one transfer wait here for each other, each with what the ones before it have taken. Raises
    `NotReversible` and `UnknownTransfer` for orders that should never have been accepted.
    """
    assert order.reverses_transfer_id is not None
    original, _ = await lock_transfer(connection, order.reverses_transfer_id)
    taken = await connection.fetchval(_TAKEN, original.id, order.transfer_id)
    return OpenedReversal(order, original, original.amount_minor - taken, decide_reversal(order, original, taken))


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
