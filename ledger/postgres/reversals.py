"""Reversals in PostgreSQL: the lock on the transfer that they reverse, and how much of it is left."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Text, bindparam, literal, not_, select, true

from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import dataclass_of
from database.statements import fetch_first, one_of, sum_of
from ledger.ids import CustomerId, TransferId
from ledger.postgres.locks import lock_transfer
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import accounts, transfers
from ledger.postgres.transfer_reads import visible_to
from ledger.refusals import Refusal
from ledger.reversals import decide_reversal
from ledger.transfers import State, Transfer, TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection

# A separate statement after the lock, so that it sees every reversal that was committed before.
_TAKEN = """
    SELECT coalesce(sum(amount_minor), 0)::bigint FROM transfers
    WHERE reverses_transfer_id = $1 AND id IS DISTINCT FROM $2 AND state NOT IN ('failed', 'cancelled', 'compensated')
"""

_READER = bindparam("reader_id", type_=Text)
_THIS = transfers.c.id == bindparam("transfer_id")

_reversing = transfers.alias("reversing")
_sums = (
    select(
        sum_of(_reversing.c.amount_minor).label("taken_minor"),
        sum_of(_reversing.c.amount_minor, _reversing.c.state == State.COMPLETED).label("reversed_minor"),
    )
    .where(
        _reversing.c.reverses_transfer_id == transfers.c.id,
        not_(one_of(_reversing.c.state, (State.FAILED, State.CANCELLED, State.COMPENSATED))),
    )
    .lateral("sums")
)
_source, _destination = accounts.alias("source"), accounts.alias("destination")
_REVERSIBLE = (
    select(
        *TRANSFER,
        visible_to(_READER).label("visible"),
        _source.c.owner_id.label("payer_id"),
        _destination.c.owner_id.label("payee_id"),
        *_sums.c,
    )
    .select_from(
        transfers.join(_sums, true())
        .outerjoin(_source, _source.c.id == transfers.c.source_account_id)
        .outerjoin(_destination, _destination.c.id == transfers.c.destination_account_id)
    )
    .where(_THIS)
)

_REVERSALS = select(*TRANSFER).where(transfers.c.reverses_transfer_id == bindparam("transfer_id"))


@dataclass(frozen=True, slots=True)
class Reversible:
    """A transfer and what its reversals have taken, read without a lock: only the ledger decides, under its lock.

    `payer_id` and `payee_id` own its accounts; None means the outside world. `taken_minor` is in reversals that are
    completed or under way, `reversed_minor` in completed ones alone.
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
    """A reversal that is being opened, under the lock of its original.

    `left_minor` is what can still be reversed, not counting this reversal. One that does not fit takes nothing.
    """

    order: TransferOrder
    original: Transfer
    left_minor: int
    refusal: Refusal | None

    @property
    def fits(self) -> bool:
        """Whether the original has as much left as this reversal takes."""
        return self.refusal is None


# Records a reversal, in the transaction that opens it.
RecordReversal = Callable[["Connection", OpenedReversal], Awaitable[None]]


async def lock_original(connection: "Connection", order: TransferOrder) -> OpenedReversal:
    """Lock the original of this reversal until the transaction ends, and decide whether the reversal fits.

    All reversals of one transfer wait for each other here, so each sees what earlier ones have taken. Raises
    `NotReversible` and `UnknownTransfer` for orders that should never have been accepted.
    """
    assert order.reverses_transfer_id is not None
    original, _ = await lock_transfer(connection, order.reverses_transfer_id)
    taken = await connection.fetchval(_TAKEN, original.id, order.transfer_id)
    return OpenedReversal(order, original, original.amount_minor - taken, decide_reversal(order, original, taken))


class Reversals:
    """Reads of reversals. All raise `Unavailable` when PostgreSQL gives no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reversible(self, reader_id: CustomerId, transfer_id: TransferId) -> Reversible | None:
        """Any transfer, and whether this customer may see it. The caller checks the customer's rights."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _REVERSIBLE, reader_id=reader_id, transfer_id=transfer_id)
        return dataclass_of(Reversible, row, original=transfer_of(row)) if row else None

    async def of(
        self, reader_id: CustomerId, transfer_id: TransferId, before: Place | None, limit: int, *, of_anybody: bool
    ) -> Page[Transfer]:
        """A transfer's reversals, newest first: those that the reader may see, or all of them."""
        wanted = newest_first(_REVERSALS, transfers.c.created_at, transfers.c.id, behind=before is not None)
        if not of_anybody:
            wanted = wanted.where(visible_to(literal(reader_id)))
        async with self._database.connection() as connection:
            return await fetch_page(connection, wanted, limit, transfer_of, before, transfer_id=transfer_id)
