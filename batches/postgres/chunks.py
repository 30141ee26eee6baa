"""Posts batches, chunk after chunk. A chunk is one transaction: its transfers, its row, and the batch's counts.

The batch's row is locked first, and holds the place. So two workers that post one batch take turns, and a chunk that
was posted is never posted again, whatever was killed before its answer.

Single transfers of the same accounts wait for a chunk. So it locks them for a fraction of a second: on a slow machine,
and while somebody waits, a chunk has fewer items. And the steps that wait when it ends go before the next one.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from batches.batch import (
    CHUNK,
    Batch,
    BatchMode,
    BatchProgress,
    BatchState,
    NewBatchItem,
    order_of_item,
)
from batches.postgres.batches import lock_batch, set_batch_state
from bulk_transfers.postgres import BulkTransfers
from database.connections import Database
from database.statements import Row
from ledger.bulk.fold import BulkOutcome
from ledger.ids import AccountId, BatchId
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.rows import HOLDS_TRANSACTION_ID, TRANSACTION_ACCOUNT
from ledger.refusals import LedgerConflict, OrderForged, OrderMismatch, TransactionIdTaken
from ledger.transfers import Failure, State, TransferOrder
from ledger.workflow_ids import transfer_workflow_id

if TYPE_CHECKING:
    from database.connections import Connection

# So many items are handed to the workflow at once, to start a workflow for each.
MOST_STARTED = 50

# A chunk keeps its accounts locked for about so long, unless even the smallest one takes longer. It is less while
# others wait: a single payment may wait for one chunk with its debit, and for the next one with its credit.
LOCKED_FOR = timedelta(milliseconds=300)
LOCKED_FOR_BESIDE_OTHERS = timedelta(milliseconds=100)
OTHERS_REMEMBERED = timedelta(seconds=2)
SMALLEST_CHUNK = 50

# Whoever waits for a row waits for the transaction that has locked it, whichever process it is in. Another posting that
# waits for its turn to number events is none of the others: shorter chunks would not help it.
_IS_WAITED_FOR = """
    WITH locks AS MATERIALIZED (SELECT pid, locktype, relation, transactionid, granted FROM pg_locks)
    SELECT EXISTS (
        SELECT FROM locks w
        WHERE locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid AND NOT granted
            AND NOT EXISTS (
                SELECT FROM locks h
                WHERE h.pid = w.pid AND h.locktype = 'tuple' AND h.granted AND h.relation = 'event_head'::regclass
            )
    )
"""

_ITEMS = """
    SELECT line, reference, source_account_id, destination_account_id, amount_minor, currency, note, fingerprint
    FROM batch_items WHERE batch_id = $1 AND line > $2 AND line <= $3 ORDER BY line
"""

# An item whose reference or key something else has meanwhile gets no transfer: to start one would fail for ever.
_UNSTARTED = f"""
    SELECT line, reference, source_account_id, destination_account_id, amount_minor, currency, note, fingerprint
    FROM batch_items i
    WHERE batch_id = $1 AND outcome = 'single' AND NOT EXISTS (SELECT FROM transfers t WHERE t.id = i.transfer_id)
        AND NOT EXISTS (
            SELECT FROM keys k WHERE k.owner_id = $2 AND k.idempotency_key = 'batch/' || i.batch_id || '/' || i.line
        )
        AND NOT EXISTS (
            SELECT FROM transfers t WHERE {TRANSACTION_ACCOUNT} = i.source_account_id
                AND t.transaction_id = i.reference AND {HOLDS_TRANSACTION_ID}
        )
    ORDER BY line LIMIT {MOST_STARTED}
"""

_SET_OUTCOMES = """
    UPDATE batch_items i SET outcome = o.outcome, failure_code = o.code, failure_message = o.message
    FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[]) AS o (line, outcome, code, message)
    WHERE i.batch_id = $1 AND i.line = o.line
"""

_SET_REVIEW_RULES = """
    UPDATE batch_items i SET review_rules = ARRAY(SELECT jsonb_array_elements_text(r.rules::jsonb))
    FROM unnest($2::integer[], $3::text[]) AS r (line, rules) WHERE i.batch_id = $1 AND i.line = r.line
"""

_ADD_CHUNK = """
    WITH counted AS (
        UPDATE batches SET posted = posted + $2, completed = completed + $3, failed = failed + $4,
            singles = singles + $5, updated_at = clock_timestamp(), state = $6,
            ended_at = CASE WHEN $7::boolean THEN clock_timestamp() END
        WHERE id = $1
    )
    INSERT INTO batch_chunks (batch_id, number, lines, completed, failed, singles)
    SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM batch_chunks WHERE batch_id = $1
"""

_REFUSE = """
    UPDATE batches SET state = 'refused', failed = $2, updated_at = clock_timestamp(), ended_at = clock_timestamp()
    WHERE id = $1
"""

# What a conflict of the books is to whoever sent the batch.
_CODES: dict[type[LedgerConflict], str] = {
    OrderMismatch: "idempotency_key_reused",
    TransactionIdTaken: "transaction_id_reused",
    OrderForged: "order_forged",
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What an item's line gets: None where its transfer says all."""

    line: int
    outcome: str
    failure: Failure | None = None


class BatchPosting:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database, bulk: BulkTransfers, queues: AccountQueues | None = None) -> None:
        """`queues` are those of the steps in this process: they go before a chunk that comes later than they do."""
        self._database = database
        self._bulk = bulk
        self._queues = queues or AccountQueues()
        self._size = CHUNK
        self._others_until = timedelta()

    async def post_next(self, batch_id: BatchId) -> tuple[BatchProgress, list[BulkOutcome]]:
        """Post the next chunk, or a whole atomic batch, and say how far the batch is and what was written.

        A repeat goes on behind what is posted. Where a person has to decide, or the batch has ended, nothing happens.
        Raises `NoSuchBatch`.
        """
        async with self._database.transaction() as connection:
            batch = await lock_batch(connection, batch_id)
            outcomes: list[BulkOutcome] = []
            if not batch.is_whole and batch.state in (BatchState.ACCEPTED, BatchState.IN_PROGRESS):
                post = self._post_whole if batch.mode is BatchMode.ATOMIC else self._post_chunk
                outcomes = await post(connection, batch)
                batch = await lock_batch(connection, batch_id)
            to_start = await self._unstarted(connection, batch) if batch.singles and batch.is_whole else []
            if batch.is_whole and not to_start and not batch.state.is_final:
                batch = await set_batch_state(connection, batch_id, BatchState.COMPLETED)
        progress = BatchProgress(
            batch.state, batch.total, batch.posted, batch.completed, batch.failed, batch.singles, to_start
        )
        return progress, [outcome for outcome in outcomes if outcome.is_new]

    async def _post_chunk(self, connection: "Connection", batch: Batch) -> list[BulkOutcome]:
        size = self._size
        last = min(batch.posted + size, batch.total)
        orders = await self._orders(connection, batch, last)
        began = monotonic()
        outcomes = await self._bulk.post(connection, orders)
        took = timedelta(seconds=monotonic() - began)
        now = timedelta(seconds=monotonic())
        if await connection.fetchval(_IS_WAITED_FOR):
            self._others_until = now + OTHERS_REMEMBERED
        has_others = now < self._others_until
        self._size = next_size(size, len(orders), took, LOCKED_FOR_BESIDE_OTHERS if has_others else LOCKED_FOR)
        await self._write_chunk(connection, batch, outcomes)
        return outcomes

    async def _post_whole(self, connection: "Connection", batch: Batch) -> list[BulkOutcome]:
        """All items at once, or none: then the refused ones get their reason, or a person is asked."""
        orders = await self._orders(connection, batch, batch.total)
        # Whoever approved the batch has decided about its items.
        outcomes = await self._bulk.post(
            connection, orders, all_or_none=True, reviews_pass=batch.decided_by is not None
        )
        if all(outcome.is_completed_now for outcome in outcomes):
            await self._write_chunk(connection, batch, outcomes)
            return outcomes
        refused = [_refused(line, outcome) for line, outcome in enumerate(outcomes, 1)]
        if refusals := [each for each in refused if each]:
            await _set_outcomes(connection, batch.id, refusals)
            await connection.execute(_REFUSE, batch.id, len(refusals))
        else:
            await _set_review_rules(connection, batch.id, outcomes)
            await set_batch_state(connection, batch.id, BatchState.HELD)
        return []

    async def _write_chunk(self, connection: "Connection", batch: Batch, outcomes: Sequence[BulkOutcome]) -> None:
        first = batch.posted + 1
        kept = [_kept(line, outcome) for line, outcome in enumerate(outcomes, first)]
        counts = Counter(
            "single" if each and each.outcome == "single" else "failed" if each else _counted(outcome)
            for each, outcome in zip(kept, outcomes, strict=True)
        )
        await _set_outcomes(connection, batch.id, [each for each in kept if each])
        is_last = batch.posted + len(outcomes) == batch.total
        is_over = is_last and not (batch.singles or counts["single"])
        state = BatchState.COMPLETED if is_over else BatchState.IN_PROGRESS
        await connection.execute(
            _ADD_CHUNK,
            batch.id,
            len(outcomes),
            counts["completed"],
            counts["failed"],
            counts["single"],
            state,
            is_over,
        )

    async def _orders(self, connection: "Connection", batch: Batch, last: int) -> list[TransferOrder]:
        """The next items up to this line, once the steps that wait for their accounts have had their turns."""
        rows = await connection.fetch(_ITEMS, batch.id, batch.posted, last)
        assert len(rows) == last - batch.posted, "a batch has all of its items"
        await self._queues.let_steps_pass(_accounts_of(rows))
        return [_order_in(batch, row) for row in rows]

    async def _unstarted(self, connection: "Connection", batch: Batch) -> list[TransferOrder]:
        """Items that are to be transfers of their own, are none yet, and can become one."""
        rows = await connection.fetch(_UNSTARTED, batch.id, batch.owner_id)
        return [
            replace(order, workflow_id=transfer_workflow_id(order.owner_id, order.idempotency_key))
            for row in rows
            if self._may_open(order := _order_in(batch, row))
        ]

    def _may_open(self, order: TransferOrder) -> bool:
        """Whether a workflow could open it: its key may have been retired since. Raises `FingerprintKeyMissing`."""
        try:
            self._bulk.fingerprints.check(order)
        except OrderForged:
            return False
        return self._bulk.fingerprints.may_open(order.fingerprint)


def next_size(size: int, items: int, took: timedelta, may_take: timedelta = LOCKED_FOR) -> int:
    """How many items a chunk may have, after one of `items`, of at most `size`, that took so long."""
    in_time = int(items * (may_take / took)) if took else CHUNK
    if took > may_take:
        return max(in_time, SMALLEST_CHUNK, size // 2)
    # A chunk that had fewer items than it could says nothing about larger ones.
    return min(in_time, 2 * size, CHUNK) if items == size else size


def _accounts_of(rows: Sequence[Row]) -> list[AccountId]:
    return sorted({row[side] for row in rows for side in ("source_account_id", "destination_account_id")})


def _order_in(batch: Batch, row: Row) -> TransferOrder:
    item = NewBatchItem(
        row["reference"],
        row["source_account_id"],
        row["destination_account_id"],
        row["amount_minor"],
        row["currency"],
        row["note"],
    )
    return order_of_item(batch.id, batch.owner_id, row["line"], item, row["fingerprint"])


def _kept(line: int, outcome: BulkOutcome) -> _Outcome | None:
    """What is kept of an outcome beside its transfer. None: its transfer is the item's own, and has ended."""
    if conflict := _conflict(outcome):
        return _Outcome(line, "refused", conflict)
    if outcome.standing is None or not outcome.standing.state.is_final:
        return _Outcome(line, "single")
    return None


def _refused(line: int, outcome: BulkOutcome) -> _Outcome | None:
    """Why an item keeps an atomic batch from being posted. None: it does not, or a person may let it pass."""
    standing = outcome.standing
    if conflict := _conflict(outcome) or (standing.failure if standing else None):
        return _Outcome(line, "refused", conflict)
    if standing is not None and not outcome.is_new:
        return _Outcome(line, "refused", Failure("idempotency_key_reused", f"Transfer {standing.transfer_id} has it."))
    return None


def _conflict(outcome: BulkOutcome) -> Failure | None:
    """Why an order could become no transfer of its own."""
    if outcome.conflict is not None:
        return Failure(_CODES[type(outcome.conflict)], str(outcome.conflict))
    if outcome.standing is not None and (first := outcome.standing.duplicate_of) is not None:
        return Failure("transaction_id_reused", f"Transfer {first} has this reference.")
    return None


def _counted(outcome: BulkOutcome) -> str:
    assert outcome.standing is not None
    return "completed" if outcome.standing.state is State.COMPLETED else "failed"


async def _set_review_rules(connection: "Connection", batch_id: BatchId, outcomes: Sequence[BulkOutcome]) -> None:
    reviewed = [(line, each) for line, each in enumerate(outcomes, 1) if each.needs_review]
    lines, rules = [line for line, _ in reviewed], [json.dumps(list(each.review_rules)) for _, each in reviewed]
    await connection.execute(_SET_REVIEW_RULES, batch_id, lines, rules)


async def _set_outcomes(connection: "Connection", batch_id: BatchId, kept: Sequence[_Outcome]) -> None:
    if not kept:
        return
    await connection.execute(
        _SET_OUTCOMES,
        batch_id,
        [each.line for each in kept],
        [each.outcome for each in kept],
        [each.failure.code if each.failure else None for each in kept],
        [each.failure.message if each.failure else None for each in kept],
    )
