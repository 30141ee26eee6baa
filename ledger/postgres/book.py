"""The book: every write to transfers, balances, postings and entries. How an order becomes a transfer is in `orders`.

One step is one transaction over the transfer's row and at most one customer account, locked in that order and both
`FOR NO KEY UPDATE`: plain `FOR UPDATE` deadlocks with the foreign-key checks of concurrent inserts. No transaction
locks two accounts, so opposite transfers cannot deadlock.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from database.answers import Keep, keeps_nothing
from database.connections import Database
from ledger import rules
from ledger.accounts import Account, AccountStatus
from ledger.fingerprints import Fingerprints
from ledger.ids import TransferId
from ledger.limits.tier_limits import DEFAULT_LIMITS, LimitTable
from ledger.postgres.account_queue import AccountQueues, Turn
from ledger.postgres.locks import lock_transfer, lock_transfer_and_account
from ledger.postgres.orders.keys import write_key
from ledger.postgres.orders.openings import Openings, RecordFunding, refuse_funding
from ledger.postgres.postings import write_change, write_if_unchanged
from ledger.postgres.reversals import (
    Hold,
    RecordReversal,
    may_use_hold,
    read_own_hold,
    restore_hold,
    use_hold,
)
from ledger.postgres.row_cache import RowCache
from ledger.refusals import LedgerConflict, Refusal
from ledger.rules import Change
from ledger.transfers import (
    Ending,
    Failure,
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

OnFinal = Callable[[TransferId, Transfer | None], None]
Judge = Callable[["Connection", Transfer], Awaitable[Failure]]
Decide = Callable[[Transfer, int, Account | None, datetime], Change | None]


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
        self._on_final = on_final
        self._queues = queues or AccountQueues()
        self._limits = limits
        self._cache = RowCache()
        self._openings = Openings(database, fingerprints, self._cache, limits, record_reversal, record_funding)

    @property
    def database(self) -> Database:
        """What it writes to."""
        return self._database

    @property
    def fingerprints(self) -> Fingerprints:
        """What makes and checks the fingerprints of its orders."""
        return self._fingerprints

    @property
    def limits(self) -> LimitTable:
        """What decides about the limits of its accounts."""
        return self._limits

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
        opened = await self._openings.open(order)
        if opened.standing.state.is_final:
            self._on_final(opened.standing.transfer_id, None)
        return opened

    async def write_key(self, order: TransferOrder, first: TransferId) -> None:
        """Let this order's key name the transfer whose `transaction_id` it repeats. A repeat changes nothing.

        Raises `OrderMismatch` where another request has the key already.
        """
        async with self._database.connection() as connection:
            await write_key(connection, order, first)

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
            transfer = await write_change(connection, found, change)
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
            transfer = await write_change(connection, transfer, change)
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


async def end_transfer(connection: "Connection", ending: Ending, state: State) -> Transfer:
    """End a transfer whose money never left the source, in a transaction that decides so.

    A transfer that has ended so already stays as it is. Raises `IllegalTransition` and `UnknownTransfer`.
    """
    transfer, now = await lock_transfer(connection, ending.step.transfer_id)
    change = rules.decide_end(transfer, ending.step.attempt, state, ending.failure, now)
    return await write_change(connection, transfer, change)


async def put_in_review(connection: "Connection", step: Step) -> Transfer:
    """Let the transfer wait for a person's decision, in a transaction that also writes the review.

    A transfer that is in review already stays as it is. Raises `IllegalTransition` and `UnknownTransfer`.
    """
    transfer, now = await lock_transfer(connection, step.transfer_id)
    return await write_change(connection, transfer, rules.decide_review(transfer, step.attempt, now))


def _is_debit(change: Change) -> bool:
    return change.posting is not None and change.posting.leg is Leg.DEBIT


def _may_restore_hold(change: Change) -> bool:
    """Whether it is the refund of a reversal: its debit may have used what was held."""
    of_reversal = change.transfer.reverses_transfer_id is not None
    return of_reversal and change.posting is not None and change.posting.leg is Leg.REFUND
