"""The book: every write to transfers, balances, postings and entries.

One step is one transaction over the transfer's row and at most one customer account, locked in that order and both
`FOR NO KEY UPDATE`: plain `FOR UPDATE` deadlocks with the foreign-key checks of concurrent inserts. No transaction
locks two accounts, so opposite transfers cannot deadlock.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from database.answers import Keep, keeps_nothing
from database.connections import Database, Unavailable, transaction_on
from database.trail.cause import causing_request_id
from ledger import rules
from ledger.accounts import Account, AccountStatus
from ledger.fingerprints import Fingerprints
from ledger.ids import AccountId, TransferId
from ledger.limits.tier_limits import DEFAULT_LIMITS, LimitTable
from ledger.postgres.account_queue import AccountQueues, Turn
from ledger.postgres.locks import lock_transfer, lock_transfer_and_account
from ledger.postgres.postings import write, write_if_unchanged
from ledger.postgres.reversals import (
    Hold,
    RecordReversal,
    lock_original,
    may_use_hold,
    read_own_hold,
    restore_hold,
    use_hold,
)
from ledger.postgres.row_cache import RowCache
from ledger.postgres.rows import (
    ACCOUNT_COLUMNS,
    FIND_BY_TRANSACTION_ID,
    HOLDS_TRANSACTION_ID,
    TRANSACTION_ACCOUNT,
    TRANSFER_COLUMNS,
    Row,
    account_of,
    transfer_of,
)
from ledger.refusals import LedgerConflict, NotFundable, OrderForged, OrderMismatch, Refusal
from ledger.rules import Change
from ledger.transfers import (
    Ending,
    Failure,
    Kind,
    Leg,
    Opened,
    ScreenedStep,
    Side,
    Standing,
    State,
    Step,
    Transfer,
    TransferOrder,
)

if TYPE_CHECKING:
    from database.connections import Connection

RecordFunding = Callable[["Connection", TransferOrder], Awaitable[None]]
OnFinal = Callable[[TransferId, Transfer | None], None]
Judge = Callable[["Connection", Transfer], Awaitable[Failure]]
Decide = Callable[[Transfer, int, Account | None, datetime], Change | None]

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

# Without a transfer: the key was used for a request that moves no money.
_FIND_BY_KEY = f"""
    SELECT {TRANSFER_COLUMNS}
    FROM keys k LEFT JOIN transfers t ON t.id = k.transfer_id WHERE k.owner_id = $1 AND k.idempotency_key = $2
"""

# The attempt that ended is kept beside the transfer, and the next one begins where nothing has moved.
_REOPEN = """
    WITH ended AS (
        INSERT INTO attempts (transfer_id, attempt, state, failure_code, failure_message, failure_side, workflow_id,
            ended_at)
        SELECT id, attempt, state, failure_code, failure_message, failure_side, workflow_id, completed_at
        FROM transfers WHERE id = $1
    )
    UPDATE transfers SET state = 'initiated', attempt = $2, workflow_id = $3, failure_code = NULL,
        failure_message = NULL, failure_side = NULL, completed_at = NULL, updated_at = $4,
        request_id = $5
    WHERE id = $1
"""

_WRITE_KEY = """
    INSERT INTO keys (owner_id, idempotency_key, transfer_id) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING transfer_id
"""

_NAMED_BY_KEY = "SELECT transfer_id FROM keys WHERE owner_id = $1 AND idempotency_key = $2"

_TRANSACTION_ID_INDEX = "transfers_transaction_id"


async def refuse_funding(_: "Connection", order: TransferOrder) -> None:
    """Of a book that can record none. Raises `NotFundable`."""
    raise NotFundable(order.transfer_id, "this process cannot record it")


class Book:
    """Steps as transactions. Each is safe to repeat after any error, even if it committed and only the answer was lost.

    All raise `Unavailable` where PostgreSQL gave no answer (in doubt: ask again), a `Refusal` where a rule says no,
    and a `LedgerConflict` where the state forbids the step. After the last two nothing has changed.
    """

    def __init__(
        self,
        database: Database,
        fingerprints: Fingerprints,
        record_reversal: RecordReversal,
        on_final: OnFinal = lambda *_: None,
        *,
        queues: AccountQueues | None = None,
        record_funding: RecordFunding = refuse_funding,
        limits: LimitTable = DEFAULT_LIMITS,
    ) -> None:
        """`record_reversal` writes the record of a reversal into the transaction that opens it.

        `record_funding` does the same for a funding; a book without it opens none.

        `on_final` is called after the commit with each transfer that this book finds in a final state or brings to
        it: with the row, where this book has just written or read it.

        `queues` are those of all in this process that lock accounts.
        """
        self._database = database
        self._fingerprints = fingerprints
        self._record_reversal = record_reversal
        self._record_funding = record_funding
        self._on_final = on_final
        self._queues = queues or AccountQueues()
        self._limits = limits
        self._cache = RowCache()

    @property
    def database(self) -> Database:
        """What it writes to."""
        return self._database

    @property
    def fingerprints(self) -> Fingerprints:
        """What makes and checks the fingerprints of its orders."""
        return self._fingerprints

    @property
    def queues(self) -> AccountQueues:
        """In which all in this process that lock accounts wait for their turn."""
        return self._queues

    async def open_transfer(self, order: TransferOrder) -> Opened:
        """Write the transfer and its key, unless the key is in use, and foresee what would refuse it today.

        A repeat answers with the first transfer's standing. An order for the next attempt of a failed or compensated
        transfer begins that attempt. Raises `OrderForged` for an order that the API did not make, and `OrderMismatch`
        where the key belongs to another request; then nothing is written.

        An order whose `transaction_id` another transfer holds gets a standing with `duplicate_of`: no row of its own,
        or no new attempt. Its key names the first transfer from then on if it repeats that movement, and stays free if
        it names another one.

        A reversal takes its part of the original here, or fails at once where too little of it is left. A funding is
        recorded here, in the same transaction. Raises `NotFundable` where its record is refused.
        """
        self._fingerprints.check(order)
        if order.reverses_transfer_id is not None:
            return await self._open_reversal(order)
        if order.kind is Kind.FUNDING:
            return await self._open_funding(order)
        async with self._database.connection() as connection:
            opened, _ = await self._open(connection, order)
        return self._announced_opening(opened)

    async def write_key(self, order: TransferOrder, first: TransferId) -> None:
        """Let this order's key name the transfer whose `transaction_id` it repeats. A repeat changes nothing.

        Raises `OrderMismatch` where another request has the key already.
        """
        async with self._database.connection() as connection:
            await _write_key(connection, order, first)

    async def debit(self, step: Step) -> Standing:
        """Take the amount from the source into clearing, and keep which rules let it pass."""

        def decide(transfer: Transfer, attempt: int, source: Account | None, now: datetime) -> Change | None:
            change = rules.decide_debit(transfer, attempt, source, self._limits, now)
            screened_by = step.screened_by if isinstance(step, ScreenedStep) else None
            return replace(change, screened_by=screened_by) if change and screened_by else change

        return await self._take_turn(step, "source", decide)

    async def credit(self, step: Step) -> Standing:
        """Hand the amount from clearing to the destination."""

        def decide(transfer: Transfer, attempt: int, destination: Account | None, now: datetime) -> Change | None:
            return rules.decide_credit(transfer, attempt, destination, self._limits, now)

        return await self._take_turn(step, "destination", decide)

    async def refund(self, ending: Ending) -> Standing:
        """Return the amount from clearing to the source, or leave a tombstone where none was taken."""

        def decide(transfer: Transfer, attempt: int, source: Account | None, now: datetime) -> Change | None:
            return rules.decide_refund(transfer, attempt, source, ending.failure, now)

        return await self._take_turn(ending.step, "source", decide)

    async def end(self, ending: Ending, state: State, keep: Keep[Transfer] = keeps_nothing) -> Standing:
        """End a transfer whose money never left the source, as `failed` or `cancelled`.

        `keep` keeps the answer to the request in the same transaction.
        """
        async with self._database.transaction() as connection:
            transfer = await end_transfer(connection, ending, state)
            await keep(connection, transfer)
        return self._announced(transfer)

    async def fail(self, step: Step, judge: Judge) -> Standing:
        """Fail a transfer whose money never left the source, for the reason that `judge` gives.

        It is called under the transfer's lock with the row as it is, and what it writes commits with the ending. If it
        raises, nothing has changed. A repeat finds the transfer failed, and asks nobody.
        """
        async with self._database.transaction() as connection:
            found, now = await lock_transfer(connection, step.transfer_id)
            change = rules.decide_end(found, step.attempt, State.FAILED, None, now)
            if change is not None:
                change = replace(change, failure=await judge(connection, found))
            transfer = await _write(connection, found, change)
        return self._announced(transfer)

    async def _take_turn(self, step: Step, side: Side, decide: Decide) -> Standing:
        """A step on one account: written at once if both cached rows are current, else decided under the locks."""
        async with self._queues.turn(step.account_id) as turn:
            transfer = await self._write_from_cache(step, side, decide, turn)
            if transfer is None:
                transfer = await self._write_locked(step, side, decide, turn)
        return self._announced(transfer)

    async def _write_from_cache(self, step: Step, side: Side, decide: Decide, turn: Turn) -> Transfer | None:
        """One round trip. None: a row is not cached or has changed, and nothing was written."""
        cached = self._cache.transfer_and_account(step.transfer_id, side)
        if cached is None:
            return None
        transfer, account, now = cached
        if may_use_hold(transfer, account) or account.status is not AccountStatus.ACTIVE or account.overdraft_minor:
            return None  # what a freeze stops, and the floor, are read under the lock: the write does not compare them
        try:
            change = decide(transfer, step.attempt, account, now)
        except (Refusal, LedgerConflict):
            return None  # a cached row may approve, never refuse
        if change is None or change.posting is None or change.posting.entry is None or _may_restore_hold(change):
            return None
        self._forget(transfer, account)
        async with self._database.connection() as connection:
            turn.has_connection()
            if not await write_if_unchanged(connection, change, account):
                return None
        self._remember(change, account)
        return change.after

    async def _write_locked(self, step: Step, side: Side, decide: Decide, turn: Turn) -> Transfer:
        async with self._database.transaction() as connection:
            turn.has_connection()
            transfer, account, now = await lock_transfer_and_account(connection, step.transfer_id, side)
            self._fingerprints.check_row(transfer)  # cached rows were checked when they were read
            self._forget(transfer, account)
            # Read after the lock, in a statement of its own that a plain transfer does not need.
            own = await read_own_hold(connection, transfer, account) if side == "source" else Hold()
            change = decide(transfer, step.attempt, account and account.holding_less(own.amount_minor), now)
            if own.amount_minor and account is not None and change is not None and _is_debit(change):
                account = await use_hold(connection, transfer, account, own)
            transfer = await _write(connection, transfer, change)
            if account is not None and change is not None and _may_restore_hold(change):
                account = await restore_hold(connection, transfer, account)
        if change is not None:
            self._remember(change, account)
        return transfer

    def _forget(self, transfer: Transfer, account: Account | None) -> None:
        """Drop both rows before a write: if its answer is lost, their contents are unknown."""
        self._cache.transfers.forget(transfer.id)
        if account is not None:
            self._cache.accounts.forget(account.id)

    def _remember(self, change: Change, account: Account | None) -> None:
        """Cache the rows as this process has just committed them."""
        if not change.state.is_final:
            self._cache.transfers.remember(change.transfer.id, change.after, change.recorded_at)
        if account is not None and change.posting is not None and (entry := change.posting.entry):
            self._cache.accounts.remember(account.id, entry.after(account), change.recorded_at)

    def _announced(self, transfer: Transfer) -> Standing:
        if transfer.state.is_final:
            self._on_final(transfer.id, transfer)
        return transfer.standing

    async def _open(self, connection: "Connection", order: TransferOrder) -> tuple[Opened, bool]:
        """The answer, and whether it is this call that began the attempt."""
        if not self._fingerprints.may_open(order.fingerprint) and not await _is_open(connection, order):
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
                opened = Opened((await _write(connection, transfer, change)).standing)
        return self._announced_opening(opened)

    async def _open_funding(self, order: TransferOrder) -> Opened:
        """One transaction with the record of who asked for it and why."""
        async with self._database.transaction() as connection:
            opened, began = await self._open(connection, order)
            if began and opened.standing.attempt == 1:
                await self._record_funding(connection, order)
        return self._announced_opening(opened)

    def _announced_opening(self, opened: Opened) -> Opened:
        if opened.standing.state.is_final:
            self._on_final(opened.standing.transfer_id, None)
        return opened

    async def _opened_before(self, connection: "Connection", order: TransferOrder) -> Standing | None:
        """What kept the order from being written: its key, or a `transaction_id`. None: that is free again."""
        row = await connection.fetchrow(_FIND_BY_KEY, order.owner_id, order.idempotency_key)
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
            await _write_key(connection, order, first.id)
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


async def _is_open(connection: "Connection", order: TransferOrder) -> bool:
    return await connection.fetchrow(_FIND_BY_KEY, order.owner_id, order.idempotency_key) is not None


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


async def _write_key(connection: "Connection", order: TransferOrder, first: TransferId) -> None:
    key = (order.owner_id, order.idempotency_key)
    if await connection.fetchval(_WRITE_KEY, *key, first) is not None:
        return
    # A statement of its own: it sees the row that the insert has met, whenever that was committed.
    if await connection.fetchval(_NAMED_BY_KEY, *key) != first:
        raise OrderMismatch(order.transfer_id)


def _standing_for(order: TransferOrder, found: Transfer) -> Standing:
    """The answer to an order whose key or `transaction_id` names this transfer."""
    if found.id == order.transfer_id:
        return found.standing
    return Standing(order.transfer_id, found.attempt, found.state, found.failure, duplicate_of=found.id)


async def end_transfer(connection: "Connection", ending: Ending, state: State) -> Transfer:
    """End a transfer whose money never left the source, in a transaction that decides so.

    A transfer that has ended so already stays as it is. Raises `IllegalTransition` and `UnknownTransfer`.
    """
    transfer, now = await lock_transfer(connection, ending.step.transfer_id)
    change = rules.decide_end(transfer, ending.step.attempt, state, ending.failure, now)
    return await _write(connection, transfer, change)


async def put_in_review(connection: "Connection", step: Step) -> Transfer:
    """Let the transfer wait for a person's decision, in a transaction that also writes the review.

    A transfer that is in review already stays as it is. Raises `IllegalTransition` and `UnknownTransfer`.
    """
    transfer, now = await lock_transfer(connection, step.transfer_id)
    return await _write(connection, transfer, rules.decide_review(transfer, step.attempt, now))


def _is_debit(change: Change) -> bool:
    return change.posting is not None and change.posting.leg is Leg.DEBIT


def _may_restore_hold(change: Change) -> bool:
    """Whether it is the refund of a reversal: its debit may have used what was held."""
    of_reversal = change.transfer.reverses_transfer_id is not None
    return of_reversal and change.posting is not None and change.posting.leg is Leg.REFUND


async def _write(connection: "Connection", transfer: Transfer, change: Change | None) -> Transfer:
    """The transfer with this change written. None: it was written before."""
    if change is None:
        return transfer
    await write(connection, change)
    return change.after
