"""How an order becomes a transfer: its row and its key are written together, or a further attempt begins.

Whoever repeats an order, or orders the same movement under another key, gets the standing of the first transfer.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, Unavailable, transaction_on
from database.trail.cause import causing_request_id
from ledger import rules
from ledger.accounts import Account
from ledger.fingerprints import Fingerprints
from ledger.ids import AccountId
from ledger.limits.tier_limits import LimitTable
from ledger.postgres.locks import lock_transfer
from ledger.postgres.orders.keys import find_by_key, write_key
from ledger.postgres.postings import write_change
from ledger.postgres.reversals import RecordReversal, lock_original
from ledger.postgres.row_cache import RowCache
from ledger.postgres.rows import (
    ACCOUNT_COLUMNS,
    FIND_BY_TRANSACTION_ID,
    HOLDS_TRANSACTION_ID,
    TRANSACTION_ACCOUNT,
    Row,
    account_of,
    transfer_of,
)
from ledger.refusals import NotFundable, OrderForged, OrderMismatch
from ledger.transfers import Kind, Opened, Standing, State, Transfer, TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection

RecordFunding = Callable[["Connection", TransferOrder], Awaitable[None]]

# One round trip writes the key and the transfer, unless the key is in use, and reads both accounts. The transfer's row
# depends on its key, and the key's foreign key on the transfer: both are written or neither. Every order takes its key
# before its transaction_id, so two orders never wait for each other.
_OPEN = f"""
    WITH named AS (
        INSERT INTO keys (owner_id, idempotency_key, transfer_id)
        SELECT $2, $3, $1
        WHERE $11::text IS NULL OR NOT EXISTS (
            SELECT FROM transfers t
            WHERE {TRANSACTION_ACCOUNT} = $14 AND t.transaction_id = $11 AND {HOLDS_TRANSACTION_ID}
        )
        ON CONFLICT DO NOTHING
        RETURNING transfer_id
    ),
    opened AS (
        INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, note, transaction_id, workflow_id, attempt,
            reverses_transfer_id, metadata, all_that_is_left, request_id)
        SELECT transfer_id, $2, $3, $4, $5, $6, $7, $8::bigint, $9, $10, $11, $12, 1, $13, $15::jsonb, $16::boolean, $17
        FROM named
        ON CONFLICT DO NOTHING
        RETURNING created_at, updated_at
    )
    SELECT opened.created_at AS opened_at, opened.updated_at, clock_timestamp() AS now, {ACCOUNT_COLUMNS}
    FROM (SELECT) one LEFT JOIN opened ON true LEFT JOIN accounts a ON a.id IN ($6, $7)
"""

# One more than it takes: a transaction_id that is taken meanwhile may be given up and taken once more.
OPENING_TRIES = 3

_KEY_WITHOUT_TRANSFER = "keys_transfer_id_fkey"

# The attempt that ended is kept beside the transfer, and the next one begins where nothing has moved.
_REOPEN = """
    WITH ended AS (
        INSERT INTO attempts (transfer_id, attempt, state, failure_code, failure_message, failure_side, workflow_id,
            ended_at, retried_at)
        SELECT id, attempt, state, failure_code, failure_message, failure_side, workflow_id, completed_at,
            $4::timestamptz
        FROM transfers WHERE id = $1
    )
    UPDATE transfers SET state = 'initiated', attempt = $2, workflow_id = $3, failure_code = NULL,
        failure_message = NULL, failure_side = NULL, completed_at = NULL, updated_at = $4::timestamptz,
        request_id = $5
    WHERE id = $1
"""

_TRANSACTION_ID_INDEX = "transfers_transaction_id"


async def refuse_funding(_: "Connection", order: TransferOrder) -> None:
    """Of a book that can record none. Raises `NotFundable`."""
    raise NotFundable(order.transfer_id, "this process cannot record it")


class Openings:
    """Of one book, which announces what they find in a final state. All raise what the book's steps raise."""

    def __init__(
        self,
        database: Database,
        fingerprints: Fingerprints,
        cache: RowCache,
        limits: LimitTable,
        record_reversal: RecordReversal,
        record_funding: RecordFunding,
    ) -> None:
        self._database = database
        self._fingerprints = fingerprints
        self._cache = cache
        self._limits = limits
        self._record_reversal = record_reversal
        self._record_funding = record_funding

    async def open(self, order: TransferOrder) -> Opened:
        """Write the transfer and its key, unless the key is in use, as `Book.open_transfer` promises."""
        self._fingerprints.check(order)
        if order.reverses_transfer_id is not None:
            return await self._open_reversal(order)
        if order.kind is Kind.FUNDING:
            return await self._open_funding(order)
        async with self._database.connection() as connection:
            opened, _ = await self._open(connection, order)
        return opened

    async def _open(self, connection: "Connection", order: TransferOrder) -> tuple[Opened, bool]:
        """The answer, and whether it is this call that began the attempt."""
        if not self._fingerprints.may_open(order.fingerprint) and await find_by_key(connection, order) is None:
            raise OrderForged(order.transfer_id)
        rows = await _insert(connection, order)
        now: datetime = rows[0]["now"]
        accounts: dict[AccountId, Account] = {row["a_id"]: account_of(row) for row in rows if row["a_id"]}
        for account in accounts.values():
            self._cache.accounts.remember(account.id, account, now)
        objection = rules.objection_to(
            order,
            accounts.get(order.source_account_id),
            accounts.get(order.destination_account_id),
            self._limits,
            now,
        )
        foreseen = objection.failure if objection else None
        if rows[0]["opened_at"]:
            transfer = Transfer(
                replace(order, attempt=1), State.INITIATED, None, rows[0]["opened_at"], rows[0]["updated_at"], None
            )
            self._cache.transfers.remember(transfer.id, transfer, now)
            return Opened(Standing(order.transfer_id, 1, State.INITIATED), foreseen), True
        known = await self._opened_before(connection, order)
        if known is None:
            return await self._open(connection, order)
        standing, began = known, False
        if standing.duplicate_of is None and order.attempt > standing.attempt:
            standing, began = await self._reopen(connection, order)
        return Opened(standing, foreseen), began

    async def _open_reversal(self, order: TransferOrder) -> Opened:
        """One transaction under the lock of what is reversed: what does not fit is written down as failed."""
        async with self._database.transaction() as connection:
            reversal = await lock_original(connection, order)
            opened, began = await self._open(connection, order)
            if began and opened.standing.attempt == 1:  # also for a later attempt, where the books lack the first one
                await self._record_reversal(connection, reversal)
            if began and reversal.refusal:
                transfer, now = await lock_transfer(connection, order.transfer_id)
                change = rules.decide_end(
                    transfer, opened.standing.attempt, State.FAILED, reversal.refusal.failure, now
                )
                opened = Opened((await write_change(connection, transfer, change)).standing)
        return opened

    async def _open_funding(self, order: TransferOrder) -> Opened:
        """One transaction with the record of who asked for it and why."""
        async with self._database.transaction() as connection:
            opened, began = await self._open(connection, order)
            if began and opened.standing.attempt == 1:
                await self._record_funding(connection, order)
        return opened

    async def _opened_before(self, connection: "Connection", order: TransferOrder) -> Standing | None:
        """What kept the order from being written: its key, or a `transaction_id`. None: that is free again."""
        row = await find_by_key(connection, order)
        if row is not None:
            if row["t_id"] is None:
                raise OrderMismatch(order.transfer_id)
            named = transfer_of(row)
            if not (order.contents == named.order.contents if named.id == order.transfer_id else order.repeats(named)):
                raise OrderMismatch(order.transfer_id)
            return _standing_for(order, named)
        row = await connection.fetchrow(FIND_BY_TRANSACTION_ID, order.customer_account_id, order.transaction_id)
        if row is None:
            return None
        first = transfer_of(row)
        if order.repeats(first):
            await write_key(connection, order, first.id)
        return _standing_for(order, first)

    async def _reopen(self, connection: "Connection", order: TransferOrder) -> tuple[Standing, bool]:
        """Begin the order's attempt, unless another transfer has taken its `transaction_id` meanwhile."""
        try:
            async with transaction_on(connection):
                transfer, now = await lock_transfer(connection, order.transfer_id)
                if not rules.decide_reopening(transfer, order.attempt):
                    return transfer.standing, False
                self._fingerprints.check_row(transfer)
                self._fingerprints.check_attempt(order)
                await connection.execute(
                    _REOPEN, order.transfer_id, order.attempt, order.workflow_id, now, causing_request_id()
                )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != _TRANSACTION_ID_INDEX:
                raise
            row = await connection.fetchrow(FIND_BY_TRANSACTION_ID, order.customer_account_id, order.transaction_id)
            if row is None:
                raise Unavailable("The transaction_id was taken and is free again: ask again.") from error
            return _standing_for(order, transfer_of(row)), False
        return Standing(order.transfer_id, order.attempt, State.INITIATED), True


async def _insert(connection: "Connection", order: TransferOrder) -> list[Row]:
    """The rows of `_OPEN`. If another order takes the `transaction_id` meanwhile, the next try sees it."""
    arguments = (
        order.transfer_id,
        order.owner_id,
        order.idempotency_key,
        order.fingerprint,
        order.kind,
        order.source_account_id,
        order.destination_account_id,
        order.amount_minor,
        order.currency,
        order.note,
        order.transaction_id,
        order.workflow_id,
        order.reverses_transfer_id,
        order.customer_account_id,
        json.dumps(order.metadata) if order.metadata else None,
        order.all_that_is_left,
        causing_request_id(),
    )
    for _ in range(OPENING_TRIES):
        try:
            return await connection.fetch(_OPEN, *arguments)
        except asyncpg.ForeignKeyViolationError as error:
            if error.constraint_name != _KEY_WITHOUT_TRANSFER or order.transaction_id is None:
                raise
    raise Unavailable(f"Other orders took the transaction_id of {order.transfer_id} each time: ask again.")


def _standing_for(order: TransferOrder, found: Transfer) -> Standing:
    """The answer to an order whose key or `transaction_id` names this transfer."""
    if found.id == order.transfer_id:
        return found.standing
    return Standing(order.transfer_id, found.attempt, found.state, found.failure, duplicate_of=found.id)
