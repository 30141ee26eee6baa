"""Reversals in PostgreSQL: the lock on what they reverse, how much of it is left, and what is held for them."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, FromClause, Text, and_, bindparam, literal, not_, select, true

from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import dataclass_of
from database.statements import fetch_first, one_of, sum_of
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.locks import lock_account, lock_transfer
from ledger.postgres.rows import TRANSFER, TRANSFER_WITH_PARTIES, transfer_with_parties_of
from ledger.postgres.tables import accounts, transfers
from ledger.postgres.transfer_reads import visible_to
from ledger.refusals import Refusal
from ledger.reversals import decide_reversal
from ledger.transfers import Kind, State, Transfer, TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection

# A separate statement after the lock, so that it sees every reversal that was committed before.
_TAKEN = """
    SELECT coalesce(sum(amount_minor), 0)::bigint FROM transfers
    WHERE reverses_transfer_id = $1 AND id IS DISTINCT FROM $2 AND state NOT IN ('failed', 'cancelled', 'compensated')
"""


def hidden_from(reader_id: CustomerId, transfer: FromClause = transfers) -> ColumnElement[bool]:
    """Which reversals nobody shows this person, even as staff: others' attempts at their account that took nothing."""
    return and_(
        transfer.c.kind == Kind.REVERSAL,
        transfer.c.owner_id != reader_id,
        not_(one_of(transfer.c.state, (State.DEBITED, State.COMPLETED, State.COMPENSATED))),
        transfer.c.source_account_id.in_(select(accounts.c.id).where(accounts.c.owner_id == reader_id)),
    )


# Without what completed reversals have used: their refunds will never come. $2 is one that is being refunded.
_HELD = """
    SELECT amount_minor, (
        SELECT coalesce(jsonb_object_agg(used.key, used.value), '{}')
        FROM jsonb_each(used_by) used JOIN transfers reversal ON reversal.id = used.key
        WHERE reversal.state = 'debited' OR reversal.id = $2
    ) AS used_by
    FROM holds WHERE transfer_id = $1
"""

_HAS_HOLD = "SELECT EXISTS (SELECT FROM holds WHERE transfer_id = $1)"

# The hold and the sum in its account's row, in one statement.
_SET_HOLD = """
    WITH before AS (SELECT coalesce((SELECT amount_minor FROM holds WHERE transfer_id = $1), 0) AS amount_minor),
    summed AS (
        UPDATE accounts SET held_minor = held_minor + $3::bigint - before.amount_minor FROM before WHERE id = $2
    ),
    released AS (DELETE FROM holds WHERE transfer_id = $1 AND $3::bigint = 0 AND $4::bigint = 0)
    INSERT INTO holds (transfer_id, account_id, amount_minor, used_minor, used_by)
    SELECT $1, $2, $3::bigint, $4::bigint, $5::jsonb WHERE $3::bigint > 0 OR $4::bigint > 0
    ON CONFLICT (transfer_id) DO UPDATE
        SET amount_minor = excluded.amount_minor, used_minor = excluded.used_minor, used_by = excluded.used_by
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

_REVERSALS = select(*TRANSFER_WITH_PARTIES).where(transfers.c.reverses_transfer_id == bindparam("transfer_id"))


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
class Hold:
    """What is held for reversals of one transfer.

    `used_by` is what the debit of each reversal that is under way has taken of it: its refund holds as much again.
    """

    amount_minor: int = 0
    used_by: dict[TransferId, int] = field(default_factory=dict)

    @property
    def used_minor(self) -> int:
        """What the reversals that are under way have used, all together."""
        return sum(self.used_by.values())

    def limited_to(self, most_minor: int) -> "Hold":
        """The hold without what is beyond this amount. What was used comes after what is held."""
        amount = min(self.amount_minor, most_minor)
        room, kept = most_minor - amount, {}
        for reversal_id, used_minor in self.used_by.items():
            if used := min(used_minor, room):
                kept[reversal_id] = used
                room -= used
        return Hold(amount, kept)


async def hold_for(connection: "Connection", transfer_id: TransferId, refunding: TransferId | None = None) -> Hold:
    """What is held for reversals of this transfer: final only under the lock of the account that it reached.

    `refunding` is the reversal that this transaction has just refunded.
    """
    row = await connection.fetchrow(_HELD, transfer_id, refunding)
    return dataclass_of(Hold, row) if row else Hold()


def may_use_hold(transfer: Transfer, account: Account | None) -> bool:
    """Whether a part of this account may be held for this reversal."""
    return transfer.reverses_transfer_id is not None and account is not None and account.held_minor > 0


async def read_own_hold(connection: "Connection", transfer: Transfer, account: Account | None) -> Hold:
    """What is held of the account, whose lock the caller has, for this reversal.

    Other transfers, and accounts that hold nothing, need no statement for it.
    """
    if not may_use_hold(transfer, account):
        return Hold()
    assert transfer.reverses_transfer_id is not None
    return await hold_for(connection, transfer.reverses_transfer_id)


async def use_hold(connection: "Connection", transfer: Transfer, account: Account, own: Hold) -> Account:
    """What a reversal's debit takes is held no more, written before the debit in its transaction. The account then."""
    assert transfer.reverses_transfer_id is not None
    used = min(own.amount_minor, transfer.amount_minor)
    left = Hold(own.amount_minor - used, own.used_by | {transfer.id: used})
    await set_hold(connection, transfer.reverses_transfer_id, account.id, left)
    return account.holding_less(used)


async def restore_hold(connection: "Connection", transfer: Transfer, account: Account) -> Account:
    """What this reversal's debit took of the hold is held again, written after its refund in the refund's transaction.

    What was released meanwhile is not held again. The account then.
    """
    assert transfer.reverses_transfer_id is not None
    own = await hold_for(connection, transfer.reverses_transfer_id, refunding=transfer.id)
    again = own.used_by.pop(transfer.id, 0)
    if again:
        restored = Hold(own.amount_minor + again, own.used_by)
        await set_hold(connection, transfer.reverses_transfer_id, account.id, restored)
    return account.holding_less(-again)


async def set_hold(connection: "Connection", transfer_id: TransferId, account_id: AccountId, hold: Hold) -> None:
    """Let this be held for reversals of the transfer. The caller holds the account's lock."""
    used_by = json.dumps(hold.used_by)
    await connection.execute(_SET_HOLD, transfer_id, account_id, hold.amount_minor, hold.used_minor, used_by)


async def lock_hold(connection: "Connection", original: Transfer) -> Hold | None:
    """What is held for reversals of this transfer, under the lock of the account that it reached.

    None: nothing, and nothing is locked.
    """
    if not await connection.fetchval(_HAS_HOLD, original.id):
        return None
    await lock_account(connection, original.destination_account_id)
    # A reversal may have used a part of it meanwhile.
    return await hold_for(connection, original.id)


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
        return dataclass_of(Reversible, row, original=transfer_with_parties_of(row)) if row else None

    async def of(
        self, reader_id: CustomerId, transfer_id: TransferId, before: Place | None, limit: int, *, of_anybody: bool
    ) -> Page[Transfer]:
        """A transfer's reversals, newest first: those that the reader may see, or all of them."""
        wanted = newest_first(_REVERSALS, transfers.c.created_at, transfers.c.id, behind=before is not None)
        if not of_anybody:
            wanted = wanted.where(visible_to(literal(reader_id)))
        async with self._database.connection() as connection:
            return await fetch_page(
                connection, wanted, limit, transfer_with_parties_of, before, transfer_id=transfer_id
            )
