"""Many transfers in one transaction: locked, decided by the rules of singles, and written by one statement."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Unavailable
from database.trail.cause import causing_request_id
from ledger.accounts import Account
from ledger.bulk.fold import BulkOutcome, EndedTransfer, Fold, KnownOrders, Screen, passes
from ledger.fingerprints import Fingerprints
from ledger.ids import CLEARING, AccountId, TransferId
from ledger.limits.tier_limits import DEFAULT_LIMITS, LimitTable
from ledger.postgres.rows import (
    ACCOUNT_COLUMNS,
    HOLDS_TRANSACTION_ID,
    TRANSACTION_ACCOUNT,
    TRANSFER_COLUMNS,
    account_of,
    transfer_of,
)
from ledger.refusals import LedgerConflict, OrderForged
from ledger.rules import Entry
from ledger.transfers import TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection

# So many transfers are one statement. PostgreSQL writes them while the next ones are decided. With many more, one would
# wait for the other; with far more, a statement would take longer than it may.
AT_ONCE = 125
BETWEEN_PAUSES = 25

# A posting of so many transfers numbers its events itself: each is written once, and not again by the sequencer. All
# other events wait for their numbers until it commits. So fewer do not, as small postings would wait for each other;
# and more do not, as they take seconds.
NUMBERED_FROM, NUMBERED_UP_TO = 50, 500

# Reads what screening needs of these orders, once their accounts are locked, and answers for each of them.
PrepareScreen = Callable[["Connection", Sequence[TransferOrder]], Awaitable[Screen]]


async def screens_nothing(_connection: "Connection", _orders: Sequence[TransferOrder]) -> Screen:
    """Of a caller whose orders were screened before, or need not be."""
    return passes


# In the order of their ids, so that two postings which share accounts cannot deadlock. A step holds one account at a
# time, and waits for nothing while it does.
_LOCK_ACCOUNTS = f"""
    SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE a.id = ANY ($1::text[]) ORDER BY a.id FOR NO KEY UPDATE
"""

# Read once all locks are held: no entry of these accounts is later.
_NOW = "SELECT clock_timestamp()"

_BY_KEY = f"""
    SELECT k.owner_id AS key_owner_id, k.idempotency_key AS key, {TRANSFER_COLUMNS}
    FROM unnest($1::text[], $2::text[]) AS asked (owner_id, idempotency_key)
    JOIN keys k ON k.owner_id = asked.owner_id AND k.idempotency_key = asked.idempotency_key
    LEFT JOIN transfers t ON t.id = k.transfer_id
"""

_BY_REFERENCE = f"""
    SELECT {TRANSFER_COLUMNS} FROM unnest($1::text[], $2::text[]) AS asked (account_id, reference)
    JOIN transfers t ON {TRANSACTION_ACCOUNT} = asked.account_id AND t.transaction_id = asked.reference
        AND {HOLDS_TRANSACTION_ID}
"""

# Whoever takes a key first has it: an order takes its key before its transaction_id, as everywhere, and all keys in one
# order. What somebody else has taken since it was read fails the whole statement.
_WRITE = f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
            $17::text[], $18::timestamptz[], $19::timestamptz[], $20::text[], $21::bigint[], $22::bigint[],
            $23::bytea[], $24::bigint[], $25::bigint[], $26::bytea[]) WITH ORDINALITY
            AS t (id, owner_id, idempotency_key, fingerprint, source, destination, amount_minor, currency, note,
                transaction_id, workflow_id, metadata, state, failure_code, failure_message, failure_side, created_at,
                updated_at, screened_by, source_version, source_before, source_hash, destination_version,
                destination_before, destination_hash, place)
    ),
    named AS (
        INSERT INTO keys (owner_id, idempotency_key, transfer_id)
        SELECT owner_id, idempotency_key, id FROM given ORDER BY 1, 2
        RETURNING transfer_id
    ),
    opened AS (
        INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, note, transaction_id, workflow_id, metadata, state,
            failure_code, failure_message, failure_side, created_at, updated_at, completed_at, screened_by, request_id)
        SELECT t.id, t.owner_id, t.idempotency_key, t.fingerprint, 'transfer', t.source, t.destination, t.amount_minor,
            t.currency, t.note, t.transaction_id, t.workflow_id, t.metadata::jsonb, t.state, t.failure_code,
            t.failure_message, t.failure_side, t.created_at, t.updated_at, t.updated_at, t.screened_by, $1
        FROM given t JOIN named ON named.transfer_id = t.id
        ORDER BY t.place
    ),
    legs AS MATERIALIZED (
        SELECT t.id, t.place, leg.* FROM given t
        CROSS JOIN LATERAL (
            VALUES
                ('debit', t.source, '{CLEARING}', t.source, t.source_version, -t.amount_minor, t.source_before,
                    t.source_hash, t.amount_minor, t.currency, t.updated_at),
                ('credit', '{CLEARING}', t.destination, t.destination, t.destination_version, t.amount_minor,
                    t.destination_before, t.destination_hash, t.amount_minor, t.currency, t.updated_at)
        ) AS leg (leg, debit, credit, account_id, version, change_minor, balance_before, hash, amount_minor, currency,
            recorded_at)
        WHERE leg.version IS NOT NULL
    ),
    posted AS (
        INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, currency,
            recorded_at)
        SELECT id, 1, leg, debit, credit, amount_minor, currency, recorded_at FROM legs
    )
    INSERT INTO entries (account_id, version, transfer_id, attempt, leg, amount_minor, balance_before, balance_after,
        recorded_at, hash)
    SELECT account_id, version, id, 1, leg, change_minor, balance_before, balance_before + change_minor, recorded_at,
        hash
    FROM legs
"""

_SET_BALANCES = """
    UPDATE accounts SET balance_minor = after.balance_minor, version = after.version, head_hash = after.head_hash,
        spent_on = after.spent_on, spent_day_minor = after.day_minor, spent_month_minor = after.month_minor
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::date[], $6::bigint[], $7::bigint[])
        AS after (id, balance_minor, version, head_hash, spent_on, day_minor, month_minor)
    WHERE accounts.id = after.id
"""

_WRITE_REPEATS = """
    INSERT INTO keys (owner_id, idempotency_key, transfer_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ORDER BY 1, 2
"""

_BEGIN_NUMBERING = "SELECT begin_numbering()"

# The triggers of transfers watch what happens to one. What begins and ends here at once is told by this call.
_RECORD = "SELECT record_bulk_transfers($1::text[])"


async def post_transfers(
    connection: "Connection",
    orders: Sequence[TransferOrder],
    fingerprints: Fingerprints,
    *,
    prepare_screen: PrepareScreen = screens_nothing,
    limits: LimitTable = DEFAULT_LIMITS,
    all_or_none: bool = False,
) -> list[BulkOutcome]:
    """Post signed orders of kind `transfer`, in their order, inside the caller's open transaction.

    The outcomes are in the order of the orders. Each order ends as if its own workflow had run alone at that moment:
    the same state, balances, versions, hashes, counters, keys, events and audit records. A refused order is written as
    `failed` and stops no other one. An order that screening sends to review is not written at all: start a workflow for
    it after the commit. `all_or_none`: unless every order is completed by this call, nothing at all is written, and the
    outcomes say why. Screening and messages are for `BulkTransfers`, which calls this.

    **What the caller may add to the transaction**: rows of its own (a chunk, occurrences), before or after the call, as
    long as nobody who waits for one of these rows holds an account; and no lock on an account. Lock rows of its own
    first. All of it happens once or not at all. Commit soon: the accounts stay locked until then, and steps on them
    wait. A chunk of 500 keeps them for about a quarter of a second.

    **What a repeat does**: nothing, whatever has happened to the first call. An order whose key or `transaction_id` is
    taken gets the standing that the row says now (`is_new` is False), also if that transfer is still under way; a key
    that another request has gets a `conflict`. Within one call the same holds for equal orders.

    Raises `Unavailable` where PostgreSQL gave no answer, or somebody else took a key or a `transaction_id` meanwhile:
    in doubt, roll back and repeat the whole transaction. Raises `FingerprintKeyMissing` likewise.
    """
    accounts, now = await _lock(connection, orders)
    known = await _known(connection, orders)
    fold = Fold(limits, known, accounts)
    forged = _forged(orders, fingerprints, known)
    decided = fold.decide_all(orders, forged, now, await prepare_screen(connection, orders))
    if all_or_none:
        outcomes = list(decided)
        if not all(outcome.is_completed_now for outcome in outcomes):
            return outcomes
        decided = iter(outcomes)
    try:
        outcomes = await _write_while_deciding(connection, fold, decided)
        if fold.repeats:
            keys = [(order.owner_id, order.idempotency_key, first_id) for order, first_id in fold.repeats]
            await connection.execute(_WRITE_REPEATS, *_columns(keys, 3))
    except asyncpg.UniqueViolationError as error:
        raise Unavailable(f"Somebody else took a key or a transaction_id meanwhile: ask again ({error}).") from error
    await _set_balances(connection, [accounts[account_id] for account_id in sorted(fold.changed)])
    await _record(connection, fold.ended)
    return outcomes


async def _write_while_deciding(
    connection: "Connection", fold: Fold, decided: Iterator[BulkOutcome]
) -> list[BulkOutcome]:
    """Write what is decided while the next orders are decided. Returns all outcomes."""
    outcomes: list[BulkOutcome] = []
    written = 0
    more = await _next(decided)
    while more:
        outcomes += more
        writing = asyncio.create_task(_write(connection, fold.ended[written:]))
        written = len(fold.ended)
        try:
            more = await _next(decided)
        finally:
            await writing
    return outcomes


async def _next(decided: Iterator[BulkOutcome]) -> list[BulkOutcome]:
    """Decide the next orders. It pauses often, so that what was written before is sent meanwhile."""
    found: list[BulkOutcome] = []
    while len(found) < AT_ONCE:
        await asyncio.sleep(0)
        few = list(islice(decided, BETWEEN_PAUSES))
        found += few
        if len(few) < BETWEEN_PAUSES:
            break
    return found


async def _lock(connection: "Connection", orders: Iterable[TransferOrder]) -> tuple[dict[AccountId, Account], datetime]:
    ids = {account for order in orders for account in (order.source_account_id, order.destination_account_id)}
    rows = await connection.fetch(_LOCK_ACCOUNTS, list(ids))
    return {row["a_id"]: account_of(row) for row in rows}, await connection.fetchval(_NOW)


async def _known(connection: "Connection", orders: Sequence[TransferOrder]) -> KnownOrders:
    """What the books have under these keys and references, read after the locks."""
    known = KnownOrders()
    keys = [(order.owner_id, order.idempotency_key) for order in orders]
    for row in await connection.fetch(_BY_KEY, *_columns(keys, 2)):
        known.by_key[row["key_owner_id"], row["key"]] = transfer_of(row) if row["t_id"] else None
    references = [(order.customer_account_id, order.transaction_id) for order in orders if order.transaction_id]
    if references:
        for row in await connection.fetch(_BY_REFERENCE, *_columns(references, 2)):
            transfer = transfer_of(row)
            assert transfer.order.transaction_id is not None
            known.by_reference[transfer.order.customer_account_id, transfer.order.transaction_id] = transfer
    return known


def _forged(
    orders: Iterable[TransferOrder], fingerprints: Fingerprints, known: KnownOrders
) -> dict[TransferId, LedgerConflict]:
    """Orders that the API did not make. A retired key opens no transfer, and proves those that exist."""
    found: dict[TransferId, LedgerConflict] = {}
    for order in orders:
        try:
            fingerprints.check(order)
            is_known = (order.owner_id, order.idempotency_key) in known.by_key
            if not is_known and not fingerprints.may_open(order.fingerprint):
                raise OrderForged(order.transfer_id)  # noqa: TRY301 - as `Openings` does
        except OrderForged as forged:
            found[order.transfer_id] = forged
    return found


async def _write(connection: "Connection", ended: Sequence[EndedTransfer]) -> None:
    for first in range(0, len(ended), AT_ONCE):
        several = ended[first : first + AT_ONCE]
        rows = [_row(each) for each in several]
        await connection.execute(_WRITE, causing_request_id(), *_columns(rows, 25))


async def _record(connection: "Connection", ended: Sequence[EndedTransfer]) -> None:
    """Write the events and the audit records. It comes late: whoever numbers keeps others from it until the commit."""
    if NUMBERED_FROM <= len(ended) <= NUMBERED_UP_TO:
        await connection.execute(_BEGIN_NUMBERING)
    for first in range(0, len(ended), AT_ONCE):
        await connection.execute(_RECORD, [each.transfer.id for each in ended[first : first + AT_ONCE]])


def _row(ended: EndedTransfer) -> tuple[object, ...]:
    """A transfer, and what its two postings write. All of it has one time."""
    transfer, order, failure = ended.transfer, ended.transfer.order, ended.transfer.failure
    return (
        order.transfer_id,
        order.owner_id,
        order.idempotency_key,
        order.fingerprint,
        order.source_account_id,
        order.destination_account_id,
        order.amount_minor,
        order.currency,
        order.note,
        order.transaction_id,
        order.workflow_id,
        json.dumps(order.metadata) if order.metadata else None,
        transfer.state,
        failure.code if failure else None,
        failure.message if failure else None,
        failure.side if failure else None,
        transfer.created_at,
        transfer.updated_at,
        ended.screened_by,
        *_entry_columns(ended.debit),
        *_entry_columns(ended.credit),
    )


def _entry_columns(entry: Entry | None) -> tuple[object, ...]:
    return (entry.version, entry.balance_before, entry.hash) if entry else (None, None, None)


async def _set_balances(connection: "Connection", accounts: Sequence[Account]) -> None:
    rows = [
        (
            account.id,
            account.balance_minor,
            account.version,
            account.head_hash,
            account.spent_on,
            account.spent_day_minor,
            account.spent_month_minor,
        )
        for account in accounts
    ]
    await connection.execute(_SET_BALANCES, *_columns(rows, 7))


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """The rows as one list for each column, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
