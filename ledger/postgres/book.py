"""The book: every write to transfers, balances, postings and entries.

One step is one transaction over the transfer's row and at most one customer account, locked in that order and both
`FOR NO KEY UPDATE`: plain `FOR UPDATE` deadlocks with the foreign-key checks of concurrent inserts. No transaction
locks two accounts, so opposite transfers cannot deadlock.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from ledger import rules
from ledger.accounts import Account, AccountStatus
from ledger.ids import AccountId, TransferId
from ledger.postgres.database import Database
from ledger.postgres.lines import Lines
from ledger.postgres.reversals import hold_original, record_staff
from ledger.postgres.reviews import begun, decisions_of
from ledger.postgres.rows import ACCOUNT_COLUMNS, FIND_BY_TRANSACTION_ID, TRANSFER_COLUMNS, Row, account_of, transfer_of
from ledger.refusals import AccountNotFound, OrderMismatch, UnknownTransfer
from ledger.reviews import Review, ReviewTerms
from ledger.rules import Change
from ledger.transfers import Ending, Failure, Opened, Standing, State, Step, Transfer, TransferOrder

if TYPE_CHECKING:
    from ledger.postgres.database import Connection

Side = Literal["source", "destination"]

# Written and read in one round trip: the row, unless it is there already, and both accounts as they are just now.
_OPEN = f"""
    WITH opened AS (
        INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, note, transaction_id, workflow_id, attempt,
            reverses_transfer_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13)
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT opened.opened, {ACCOUNT_COLUMNS}
    FROM (SELECT count(*) = 1 AS opened FROM opened) opened LEFT JOIN accounts a ON a.id IN ($6, $7)
"""

_FIND = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1
"""

_LOCK_TRANSFER = f"""
    SELECT {TRANSFER_COLUMNS}, clock_timestamp() AS now FROM transfers t WHERE t.id = $1 FOR NO KEY UPDATE
"""

# The second CTE depends on the first, so the transfer is locked before the account.
_LOCK = """
    WITH t AS MATERIALIZED (SELECT * FROM transfers WHERE id = $1 FOR NO KEY UPDATE),
    a AS MATERIALIZED (
        SELECT accounts.* FROM accounts JOIN t ON accounts.id = t.{side}_account_id FOR NO KEY UPDATE OF accounts
    )
    SELECT {transfer}, {account}, clock_timestamp() AS now FROM t LEFT JOIN a ON true
"""
_LOCK_WITH: dict[Side, str] = {
    "source": _LOCK.format(side="source", transfer=TRANSFER_COLUMNS, account=ACCOUNT_COLUMNS),
    "destination": _LOCK.format(side="destination", transfer=TRANSFER_COLUMNS, account=ACCOUNT_COLUMNS),
}

_SET_STATE = """
    UPDATE transfers SET state = $2, updated_at = $3, failure_code = $4, failure_message = $5,
        completed_at = CASE WHEN $6::boolean THEN $3::timestamptz END
    WHERE id = $1
"""

_WRITE_POSTING = f"""
    WITH stated AS ({_SET_STATE}),
    posted AS (
        INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, currency,
            recorded_at)
        VALUES ($1, $7, $8, $9, $10, $11, $12, $3)
    )
    SELECT
"""

_WRITE_POSTING_AND_ENTRY = f"""
    WITH stated AS ({_SET_STATE}),
    posted AS (
        INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, currency,
            recorded_at)
        VALUES ($1, $7, $8, $9, $10, $11, $12, $3)
    ),
    entered AS (
        INSERT INTO entries (account_id, version, transfer_id, attempt, leg, amount_minor, balance_before,
            balance_after, recorded_at, hash)
        VALUES ($13, $14, $1, $7, $8, $15, $16, $17, $3, $18)
    )
    UPDATE accounts SET balance_minor = $17, version = $14, head_hash = $18 WHERE id = $13
"""

_SET_STATUS = f"""
    UPDATE accounts a SET status = $2 WHERE id = $1 RETURNING {ACCOUNT_COLUMNS}
"""

# The attempt that ended is kept beside the transfer, and the next one begins where nothing has moved.
_REOPEN = """
    WITH ended AS (
        INSERT INTO attempts (transfer_id, attempt, state, failure_code, failure_message, workflow_id, ended_at)
        SELECT id, attempt, state, failure_code, failure_message, workflow_id, completed_at
        FROM transfers WHERE id = $1
    )
    UPDATE transfers SET state = 'initiated', attempt = $2, workflow_id = $3, failure_code = NULL,
        failure_message = NULL, completed_at = NULL, updated_at = $4
    WHERE id = $1
"""

_UNFINISHED = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t
    WHERE state IN ('initiated', 'in_review', 'debited')
        AND updated_at <= clock_timestamp() - make_interval(secs => $1)
        AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3))
    ORDER BY created_at, id LIMIT 1000
"""

_WRITE_REPEATED_KEY = """
    INSERT INTO repeated_keys (owner_id, idempotency_key, fingerprint, transfer_id) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""

_HOLD = "SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE"

# A reversal that took nothing is told to whoever asked for it, and not to whom staff wanted to take it from.
_WRITE_MESSAGES = """
    INSERT INTO messages (transfer_id, attempt, account_id, customer_id, body)
    SELECT $1, $2, a.id, a.owner_id, $4 FROM accounts a, transfers t
    WHERE a.id = ANY ($3::text[]) AND t.id = $1
        AND (t.kind <> 'reversal' OR t.owner_id = a.owner_id OR t.state IN ('completed', 'compensated'))
    ON CONFLICT DO NOTHING
"""


class HeldAccount:
    """An account under its row lock. What is done to it counts when the block that holds it ends."""

    def __init__(self, connection: "Connection", account_id: AccountId) -> None:
        self._connection = connection
        self._account_id = account_id

    async def set_status(self, status: AccountStatus) -> None:
        """Freeze, open or close it."""
        await self._connection.execute(_SET_STATUS, self._account_id, status)


class Book:
    """Steps as transactions. Each is safe to repeat after any error, also one that hid its commit.

    All raise `Unavailable` where PostgreSQL gave no answer (in doubt: ask again), a `Refusal` where a rule says no,
    and a `LedgerConflict` where the state forbids the step. After the last two nothing has changed.
    """

    def __init__(self, database: Database, settled: Callable[[TransferId], None] = lambda _: None) -> None:
        """`settled` is told, after its commit, of each transfer that this book brings to a final state."""
        self._database = database
        self._settled = settled
        self._lines = Lines()

    @property
    def database(self) -> Database:
        """What it writes to."""
        return self._database

    async def open_transfer(self, order: TransferOrder) -> Opened:
        """Write the transfer's row, unless it is there, and say where it stands and what would refuse it today.

        An order for the next attempt of a failed or compensated transfer begins that attempt.

        A repeat answers with the first row's standing. An order whose `transaction_id` already moved money under
        another key gets a standing with `duplicate_of` and no row. Raises `OrderMismatch` where the row was made by
        another order.

        A reversal takes its part of what it reverses here, or fails at once where too little of it is left.
        """
        if order.reverses_transfer_id is not None:
            return await self._open_reversal(order)
        async with self._database.connection() as connection:
            opened, _ = await self._open(connection, order)
        return Opened(self._announced(opened.standing), opened.objection)

    async def remember_key(self, order: TransferOrder, first: TransferId) -> None:
        """Keep that this order's key was answered with another key's transfer. A repeat changes nothing."""
        async with self._database.connection() as connection:
            await connection.execute(
                _WRITE_REPEATED_KEY, order.owner_id, order.idempotency_key, order.fingerprint, first
            )

    async def begin_review(self, step: Step, terms: ReviewTerms) -> Review:
        """Let the transfer wait for a person's decision.

        A repeat finds the review as it began, however long ago: its terms, and the decisions that were made meanwhile.
        """
        async with self._database.transaction() as connection:
            transfer, now = await self._lock_transfer(connection, step.transfer_id)
            standing = await self._write(connection, transfer, rules.decide_review(transfer, step.attempt, now))
            kept, elapsed_seconds = await begun(connection, step, terms)
            return Review(standing, kept, await decisions_of(connection, step), elapsed_seconds)

    async def debit(self, step: Step) -> Standing:
        """Take the amount from the source into clearing."""
        async with self._lines.turn(step.account_id), self._database.transaction() as connection:
            transfer, source, now = await self._lock(connection, step.transfer_id, "source")
            change = rules.decide_debit(transfer, step.attempt, source, now)
            standing = await self._write(connection, transfer, change)
        return self._announced(standing)

    async def credit(self, step: Step) -> Standing:
        """Hand the amount from clearing to the destination."""
        async with self._lines.turn(step.account_id), self._database.transaction() as connection:
            transfer, destination, now = await self._lock(connection, step.transfer_id, "destination")
            change = rules.decide_credit(transfer, step.attempt, destination, now)
            standing = await self._write(connection, transfer, change)
        return self._announced(standing)

    async def refund(self, ending: Ending) -> Standing:
        """Return the amount from clearing to the source, or leave a tombstone where none was taken."""
        async with self._lines.turn(ending.step.account_id), self._database.transaction() as connection:
            transfer, source, now = await self._lock(connection, ending.step.transfer_id, "source")
            change = rules.decide_refund(transfer, ending.step.attempt, source, ending.failure, now)
            standing = await self._write(connection, transfer, change)
        return self._announced(standing)

    async def end(self, ending: Ending, state: State) -> Standing:
        """End a transfer whose money never left the source, as `failed` or `cancelled`."""
        async with self._database.transaction() as connection:
            transfer, now = await self._lock_transfer(connection, ending.step.transfer_id)
            change = rules.decide_end(transfer, ending.step.attempt, state, ending.failure, now)
            standing = await self._write(connection, transfer, change)
        return self._announced(standing)

    async def unfinished(self, older_than_seconds: int) -> AsyncIterator[tuple[TransferOrder, State]]:
        """Transfers that are not final and have not changed for so long, oldest first: all of them, page by page."""
        after: tuple[datetime, TransferId] | tuple[None, None] = (None, None)
        while True:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_UNFINISHED, older_than_seconds, *after)
            if not rows:
                return
            for transfer in map(transfer_of, rows):
                yield transfer.order, transfer.state
                after = (transfer.created_at, transfer.id)

    async def set_account_status(self, account_id: AccountId, status: AccountStatus) -> Account:
        """Freeze, open or close an account. Waits for a step that holds it, and holds it against steps meanwhile."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_SET_STATUS, account_id, status)
        if row is None:
            raise AccountNotFound(account_id)
        return account_of(row)

    @asynccontextmanager
    async def holding(self, account_id: AccountId) -> AsyncIterator["HeldAccount"]:
        """Lock an account against every step until the block ends, to act between two steps of a transfer.

        For an operator's console and for tests: steps that need the account wait, and come again, meanwhile.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_HOLD, account_id)
            if row is None:
                raise AccountNotFound(account_id)
            yield HeldAccount(connection, account_id)

    async def write_messages(self, step: Step, account_ids: list[AccountId], body: str) -> None:
        """Leave one message per account's owner about this attempt. A repeat writes none."""
        async with self._database.connection() as connection:
            await connection.execute(_WRITE_MESSAGES, step.transfer_id, step.attempt, account_ids, body)

    def _announced(self, standing: Standing) -> Standing:
        if standing.state.is_final:
            self._settled(standing.transfer_id)
        return standing

    async def _open(self, connection: "Connection", order: TransferOrder) -> tuple[Opened, bool]:
        """The answer, and whether it is this call that began the attempt."""
        rows = await connection.fetch(
            _OPEN,
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
        )
        accounts: dict[AccountId, Account] = {row["a_id"]: account_of(row) for row in rows if row["a_id"]}
        objection = rules.objection_to(
            order, accounts.get(order.source_account_id), accounts.get(order.destination_account_id)
        )
        foreseen = objection.failure if objection else None
        if rows[0]["opened"]:
            return Opened(Standing(order.transfer_id, 1, State.INITIATED), foreseen), True
        standing, began = await self._opened_before(connection, order), False
        if standing.duplicate_of is None and order.attempt > standing.attempt:
            standing, began = await self._reopen(connection, order)
        return Opened(standing, foreseen), began

    async def _open_reversal(self, order: TransferOrder) -> Opened:
        """One transaction under the lock of what is reversed: what does not fit is written down as failed."""
        async with self._database.transaction() as connection:
            refusal = await hold_original(connection, order)
            opened, began = await self._open(connection, order)
            if began and order.attempt == 1:
                await record_staff(connection, order)
            if began and refusal:
                transfer, now = await self._lock_transfer(connection, order.transfer_id)
                change = rules.decide_end(transfer, order.attempt, State.FAILED, refusal.failure, now)
                opened = Opened(await self._write(connection, transfer, change))
        return Opened(self._announced(opened.standing), opened.objection)

    async def _opened_before(self, connection: "Connection", order: TransferOrder) -> Standing:
        row = await connection.fetchrow(_FIND, order.transfer_id)
        if row is not None:
            transfer = transfer_of(row)
            if transfer.fingerprint != order.fingerprint:
                raise OrderMismatch(transfer.id)
            return transfer.standing
        row = await connection.fetchrow(FIND_BY_TRANSACTION_ID, order.customer_account_id, order.transaction_id)
        assert row is not None, "one of the two unique keys refused the insert"
        first = transfer_of(row)
        return Standing(order.transfer_id, first.attempt, first.state, first.failure, duplicate_of=first.id)

    async def _reopen(self, connection: "Connection", order: TransferOrder) -> tuple[Standing, bool]:
        async with connection.transaction():
            transfer, now = await self._lock_transfer(connection, order.transfer_id)
            if not rules.decide_reopening(transfer, order.attempt):
                return transfer.standing, False
            await connection.execute(_REOPEN, order.transfer_id, order.attempt, order.workflow_id, now)
        return Standing(order.transfer_id, order.attempt, State.INITIATED), True

    async def _lock_transfer(self, connection: "Connection", transfer_id: TransferId) -> tuple[Transfer, datetime]:
        row = self._known(await connection.fetchrow(_LOCK_TRANSFER, transfer_id), transfer_id)
        return transfer_of(row), row["now"]

    async def _lock(
        self, connection: "Connection", transfer_id: TransferId, side: Side
    ) -> tuple[Transfer, Account | None, datetime]:
        row = self._known(await connection.fetchrow(_LOCK_WITH[side], transfer_id), transfer_id)
        return transfer_of(row), account_of(row) if row["a_id"] else None, row["now"]

    @staticmethod
    def _known(row: Row | None, transfer_id: TransferId) -> Row:
        if row is None:
            raise UnknownTransfer(transfer_id)
        return row

    async def _write(self, connection: "Connection", transfer: Transfer, change: Change | None) -> Standing:
        """Write all of a change in one statement. None: the effect is there, and its standing is the answer."""
        if change is None:
            return transfer.standing
        failure = change.failure or Failure("", "")
        stated = (
            transfer.id,
            change.state,
            change.recorded_at,
            failure.code or None,
            failure.message if failure.code else None,
            change.state.is_final,
        )
        if change.posting is None:
            await connection.execute(_SET_STATE, *stated)
            return change.standing
        posting, entry = change.posting, change.posting.entry
        posted = (
            transfer.attempt,
            posting.leg,
            posting.debit_account_id,
            posting.credit_account_id,
            posting.amount_minor,
            posting.currency,
        )
        if entry is None:
            await connection.execute(_WRITE_POSTING, *stated, *posted)
            return change.standing
        await connection.execute(
            _WRITE_POSTING_AND_ENTRY,
            *stated,
            *posted,
            entry.account_id,
            entry.version,
            entry.amount_minor,
            entry.balance_before,
            entry.balance_after,
            entry.hash,
        )
        return change.standing
