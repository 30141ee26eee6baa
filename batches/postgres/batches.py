"""Batches in PostgreSQL: accepted as a whole, read, cancelled and decided about. `chunks` posts them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Interval, bindparam, func, select

from batches.batch import (
    Batch,
    BatchIsOver,
    BatchItem,
    BatchItemState,
    BatchMode,
    BatchState,
    NewBatchItem,
    NoSuchBatch,
    item_state,
    order_of_item,
)
from batches.postgres.tables import IS_OPEN, batches
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import CLOCK
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first, locked
from database.trail.cause import causing_request_id
from ledger.fingerprints import Fingerprints
from ledger.ids import AccountId, BatchId, CustomerId, new_batch_id
from ledger.postgres.rows import HOLDS_TRANSACTION_ID, TRANSACTION_ACCOUNT
from ledger.transfers import Failure, State
from staff.permissions import Action, Actor, ConflictOfInterest, check_allowed
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

_COLUMNS = columns_for(Batch, batches)
_FIND = select(*_COLUMNS).where(batches.c.id == bindparam("batch_id"))
_LOCK = locked(_FIND)
_ALL = select(*_COLUMNS)
_OWN = _ALL.where(batches.c.owner_id == bindparam("owner_id"))

# A sample: after an outage they may be many, and each sweep takes another sample.
_OPEN_SINCE = (
    select(batches.c.id)
    .where(IS_OPEN, batches.c.updated_at <= CLOCK - bindparam("older_than", type_=Interval))
    .order_by(func.random())
    .limit(200)
)

_INSERT = """
    INSERT INTO batches (id, owner_id, mode, total, request_id) VALUES ($1, $2, $3, $4, $5) RETURNING *
"""

_ITEM_COLUMNS = (
    "batch_id",
    "line",
    "reference",
    "source_account_id",
    "destination_account_id",
    "amount_minor",
    "currency",
    "note",
    "transfer_id",
    "fingerprint",
)

# Fewer cost more in pauses; with more, a request that waits notices them.
SIGNED_BETWEEN_PAUSES = 100

_OWN_ACCOUNTS = "SELECT id FROM accounts WHERE id = ANY ($1::text[]) AND owner_id = $2"

_USED_REFERENCES = f"""
    SELECT asked.account_id, asked.reference FROM unnest($1::text[], $2::text[]) AS asked (account_id, reference)
    JOIN transfers t ON {TRANSACTION_ACCOUNT} = asked.account_id AND t.transaction_id = asked.reference
        AND {HOLDS_TRANSACTION_ID}
"""

_ITEMS = """
    SELECT i.line, i.reference, i.source_account_id, i.destination_account_id, i.amount_minor, i.currency, i.note,
        i.transfer_id, i.outcome, i.failure_code, i.failure_message, i.review_rules, t.state AS transfer_state,
        t.failure_code AS transfer_failure_code, t.failure_message AS transfer_failure_message
    FROM batch_items i LEFT JOIN transfers t ON t.id = i.transfer_id
    WHERE i.batch_id = $1 AND i.line > $2 ORDER BY i.line LIMIT $3
"""

_SINGLE_STATES = """
    SELECT t.state, count(*) AS count
    FROM batch_items i LEFT JOIN transfers t ON t.id = i.transfer_id
    WHERE i.batch_id = $1 AND i.outcome = 'single' GROUP BY 1
"""

# The first of two approvals leaves the batch held, and is on record.
_APPROVED_BY = f"""
    SELECT actor_id FROM staff_actions
    WHERE subject = $1 AND action = '{Action.DECIDE_BATCH}' AND after ->> 'state' = 'held'
        AND (after ->> 'approvals')::integer = 1
"""

_SET_STATE = """
    UPDATE batches SET state = $2, updated_at = clock_timestamp(),
        ended_at = CASE WHEN $3::boolean THEN clock_timestamp() END, decided_by = coalesce($4, decided_by),
        decided_reason = coalesce($5, decided_reason)
    WHERE id = $1 RETURNING *
"""


@dataclass(frozen=True, slots=True)
class BatchWithCounts:
    """A batch, and how many of its items are in each state. `approved_by`: who gave a held one its first approval."""

    batch: Batch
    counts: Mapping[BatchItemState, int]
    approved_by: CustomerId | None = None


class Batches:
    """All raise `Unavailable` where PostgreSQL gave no answer, and `NoSuchBatch` for an unknown id."""

    def __init__(self, database: Database, fingerprints: Fingerprints, reports: Database | None = None) -> None:
        """`reports` are the connections of lists; None: those of all requests."""
        self._database = database
        self._fingerprints = fingerprints
        self._reports = reports or database

    async def own_accounts(self, owner_id: CustomerId, ids: Sequence[AccountId]) -> set[AccountId]:
        """Those of the accounts that are this customer's."""
        async with self._database.connection() as connection:
            return {AccountId(row["id"]) for row in await connection.fetch(_OWN_ACCOUNTS, list(ids), owner_id)}

    async def used_references(self, items: Sequence[NewBatchItem]) -> set[tuple[AccountId, str]]:
        """The accounts and references of items that a transfer has as its `transaction_id` already."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _USED_REFERENCES, [item.source_account_id for item in items], [item.reference for item in items]
            )
        return {(row["account_id"], row["reference"]) for row in rows}

    async def accept(
        self,
        owner_id: CustomerId,
        mode: BatchMode,
        items: Sequence[NewBatchItem],
        keep: Keep[BatchWithCounts] = keeps_nothing,
    ) -> BatchWithCounts:
        """Write down a valid batch: all of it, or nothing. No money moves. `keep` keeps the answer with it."""
        batch_id = new_batch_id()
        rows = await self._signed_rows(batch_id, owner_id, items)
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_INSERT, batch_id, owner_id, mode, len(items), causing_request_id())
            assert row is not None
            await connection.copy_records_to_table("batch_items", records=rows, columns=_ITEM_COLUMNS)
            accepted = BatchWithCounts(_batch_of(row), {BatchItemState.PENDING: len(items)})
            await keep(connection, accepted)
        return accepted

    async def _signed_rows(
        self, batch_id: BatchId, owner_id: CustomerId, items: Sequence[NewBatchItem]
    ) -> list[tuple[object, ...]]:
        """To sign ten thousand takes half a second, in which other requests of the process must not stand still."""
        rows: list[tuple[object, ...]] = []
        for line, item in enumerate(items, 1):
            if line % SIGNED_BETWEEN_PAUSES == 0:
                await asyncio.sleep(0)
            order = self._fingerprints.signed(order_of_item(batch_id, owner_id, line, item))
            rows.append(
                (
                    batch_id,
                    line,
                    item.reference,
                    item.source_account_id,
                    item.destination_account_id,
                    item.amount_minor,
                    item.currency,
                    item.note,
                    order.transfer_id,
                    order.fingerprint,
                )
            )
        return rows

    async def find(self, batch_id: BatchId) -> BatchWithCounts:
        """A batch of any customer: whoever asks compares the owner."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, batch_id=batch_id)
            if row is None:
                raise NoSuchBatch(batch_id)
            return await with_counts(connection, _batch_of(row))

    async def all_of(
        self,
        limit: int,
        *,
        owner_id: CustomerId | None = None,
        state: BatchState | None = None,
        before: Place | None = None,
        within: Span = ALL_TIME,
    ) -> Page[BatchWithCounts]:
        """Batches, newest first: of one customer, or of all."""
        listed = _ALL if owner_id is None else _OWN
        if state is not None:
            listed = listed.where(batches.c.state == state)
        statement = newest_first(listed, batches.c.created_at, batches.c.id, behind=before is not None, within=within)
        values = {} if owner_id is None else {"owner_id": owner_id}
        async with self._reports.connection() as connection:
            page = await fetch_page(connection, statement, limit, _batch_of, before, **values)
            return Page([await with_counts(connection, batch) for batch in page.items], page.has_more)

    async def items(self, batch: Batch, after_line: int, limit: int) -> Page[BatchItem]:
        """The items behind this line, in the order of the lines, with what became of each."""
        async with self._reports.connection() as connection:
            rows = await connection.fetch(_ITEMS, batch.id, after_line, limit + 1)
        return Page([_item_of(batch.state, row) for row in rows[:limit]], has_more=len(rows) > limit)

    async def cancel(self, batch_id: BatchId, keep: Keep[BatchWithCounts] = keeps_nothing) -> BatchWithCounts:
        """Post nothing more of it. Waits for a chunk that is being posted, whose transfers stay.

        A cancelled batch stays as it is. Raises `BatchIsOver` for one that has ended otherwise.
        """
        async with self._database.transaction() as connection:
            batch = await lock_batch(connection, batch_id)
            if batch.state is not BatchState.CANCELLED:
                if batch.state.is_final:
                    raise BatchIsOver(batch_id, batch.state)
                batch = await set_batch_state(connection, batch_id, BatchState.CANCELLED)
            cancelled = await with_counts(connection, batch)
            await keep(connection, cancelled)
        return cancelled

    async def cancel_by_staff(
        self, actor: Actor, batch_id: BatchId, reason: str, keep: Keep[BatchWithCounts] = keeps_nothing
    ) -> BatchWithCounts:
        """The same, recorded with who did it and why. Raises `ActionRefused`."""
        check_allowed(actor, Action.CANCEL_BATCH)
        async with self._database.transaction() as connection:
            batch = await lock_batch(connection, batch_id)
            if batch.owner_id == actor.id:
                raise ConflictOfInterest(Action.CANCEL_BATCH)
            if batch.state.is_final:
                raise BatchIsOver(batch_id, batch.state)
            cancelled = await change_by_staff(
                connection, batch, BatchState.CANCELLED, actor, Action.CANCEL_BATCH, reason
            )
            await keep(connection, cancelled)
        return cancelled

    async def open_since(self, seconds: int) -> list[BatchId]:
        """Batches that have not ended and were not touched for so long, at most 200."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _OPEN_SINCE, older_than=timedelta(seconds=seconds))
        return [row["id"] for row in rows]


async def lock_batch(connection: "Connection", batch_id: BatchId) -> Batch:
    """The batch under its lock. Raises `NoSuchBatch`."""
    row = await fetch_first(connection, _LOCK, batch_id=batch_id)
    if row is None:
        raise NoSuchBatch(batch_id)
    return _batch_of(row)


async def set_batch_state(
    connection: "Connection",
    batch_id: BatchId,
    state: BatchState,
    decided_by: CustomerId | None = None,
    reason: str | None = None,
) -> Batch:
    """Change the state of a batch whose lock this transaction holds."""
    row = await connection.fetchrow(_SET_STATE, batch_id, state, state.is_final, decided_by, reason)
    assert row is not None
    return _batch_of(row)


async def change_by_staff(
    connection: "Connection", batch: Batch, state: BatchState, actor: Actor, action: Action, reason: str
) -> BatchWithCounts:
    """The same as an act of staff, on record. The caller has checked that the actor may."""
    await record_action(connection, actor, action, batch.id, reason, {"state": batch.state}, {"state": state})
    return await with_counts(connection, await set_batch_state(connection, batch.id, state, actor.id, reason))


async def with_counts(connection: "Connection", batch: Batch) -> BatchWithCounts:
    """The chunks have counted all items but those that became transfers of their own: these say where they are."""
    counts: Counter[BatchItemState] = Counter()
    counts[BatchItemState.COMPLETED] += batch.completed
    counts[BatchItemState.FAILED] += batch.failed
    if batch.singles:
        for row in await connection.fetch(_SINGLE_STATES, batch.id):
            state = State(row["state"]) if row["state"] else None
            counts[item_state(batch.state, state, "single")] += row["count"]
    rest = BatchItemState.NOT_POSTED if batch.state.is_final else BatchItemState.PENDING
    counts[rest] += batch.total - batch.completed - batch.failed - batch.singles
    first = await connection.fetchval(_APPROVED_BY, batch.id) if batch.state is BatchState.HELD else None
    return BatchWithCounts(batch, counts, first)


def _batch_of(row: Row) -> Batch:
    return dataclass_of(Batch, row)


def _item_of(batch_state: BatchState, row: Row) -> BatchItem:
    transfer = State(row["transfer_state"]) if row["transfer_state"] else None
    # Of a refused item, another transfer may have the key, and with it the id.
    is_refused = row["outcome"] == "refused"
    prefix = "" if is_refused else "transfer_"
    code = row[f"{prefix}failure_code"]
    failure = Failure(code, row[f"{prefix}failure_message"]) if code else None
    state = item_state(batch_state, None if is_refused else transfer, row["outcome"])
    transfer_id = None if is_refused else row["transfer_id"]
    rules = tuple(row["review_rules"] or ())
    return dataclass_of(BatchItem, row, state=state, failure=failure, transfer_id=transfer_id, review_rules=rules)
