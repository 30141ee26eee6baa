"""Due occurrences are paid, and those that went on in a workflow are followed to its end.

Where each may break, and what is true then:

- What is due is paid in one transaction that locks the occurrences, then the accounts in the order of their ids, and
  writes the transfers together with what became of each occurrence. So a date is paid and marked, or neither. The
  transfer's own key, `standing/{order}/{date}`, holds even if somebody sets an occurrence back by hand.
- A commit whose answer is lost: the next step finds the occurrences no longer due.
- An account that somebody holds, or a row that PostgreSQL refuses, stops the payment that it belongs to and no other.
- Whoever pauses or cancels an order locks it and then its occurrences, and so waits for a payment that is being
  written; a payment locks no order, so nobody waits in a circle.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import asyncpg
import structlog

from bulk_transfers.postgres import BulkTransfers
from database.connections import Database, RowHeld
from database.rows import columns_for, dataclass_of
from ledger.accounts import Account
from ledger.bulk.fold import BulkOutcome
from ledger.ids import AccountId, StandingOrderId
from ledger.limits.tier_limits import LimitTable
from ledger.postgres.rows import ACCOUNT_COLUMNS, Row, account_of
from ledger.transfers import Failure, Standing, State, TransferOrder
from standing_orders.calendar import RunHours
from standing_orders.occurrence import KEY_TAKEN, DueOccurrence, Occurrence, OccurrenceState, SweepReport
from standing_orders.payment import Payment, Payments
from standing_orders.postgres.due_dates import AT_ONCE, Clock
from standing_orders.postgres.occurrence_notices import write_occurrence_notices
from standing_orders.postgres.rows import time_now, unzipped
from standing_orders.postgres.tables import standing_order_occurrences
from standing_orders.standing_order import OutageRule

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

# An occurrence's key.
Key = tuple[StandingOrderId, date]
Place = tuple[datetime, StandingOrderId, date]

BEGINNING: Place = (datetime(1, 1, 1, tzinfo=UTC), StandingOrderId(""), date(1, 1, 1))

_OCCURRENCE_COLUMNS = ", ".join(f"c.{column.name}" for column in columns_for(Occurrence, standing_order_occurrences))

_DUE = """
    SELECT next_try_at, order_id, date FROM standing_order_occurrences
    WHERE state = 'due' AND next_try_at <= $1 AND (next_try_at, order_id, date) > ($2, $3, $4)
    ORDER BY next_try_at, order_id, date LIMIT $5
"""

_WITH_ORDER = f"""
    SELECT {_OCCURRENCE_COLUMNS}, o.owner_id, o.time_zone, o.retry_days, o.after_outage
    FROM standing_order_occurrences c JOIN standing_orders o ON o.id = c.order_id
"""
_LOCK_DUE = f"""
    {_WITH_ORDER}
    JOIN unnest($1::text[], $2::date[]) AS wanted (order_id, date) ON wanted.order_id = c.order_id
        AND wanted.date = c.date
    WHERE c.state = 'due' ORDER BY c.next_try_at, c.order_id, c.date FOR NO KEY UPDATE OF c SKIP LOCKED
"""

# The same accounts in the same order as the bulk posting, which finds them locked.
_LOCK_ACCOUNTS = f"""
    SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE a.id = ANY ($1::text[]) ORDER BY a.id FOR NO KEY UPDATE
"""

_WRITE = """
    UPDATE standing_order_occurrences c SET state = became.state, code = became.code, message = became.message,
        tries = became.tries, next_try_at = became.next_try_at, amount_minor = became.amount_minor,
        transfer_id = became.transfer_id, stamp = became.stamp, updated_at = clock_timestamp()
    FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::timestamptz[],
        $8::bigint[], $9::text[], $10::text[])
        AS became (order_id, date, state, code, message, tries, next_try_at, amount_minor, transfer_id, stamp)
    WHERE c.order_id = became.order_id AND c.date = became.date
"""

# A customer may have used the key for something else: a transfer with other contents, or an act without one.
_FOLLOW = f"""
    {_WITH_ORDER}
    LEFT JOIN transfers t ON t.id = c.transfer_id
    LEFT JOIN keys k ON k.owner_id = o.owner_id AND k.idempotency_key = 'standing/' || c.order_id || '/' || c.date
"""
_LOCK_ENDED = (
    _FOLLOW.replace(
        "o.after_outage",
        """o.after_outage, t.state AS transfer_state, t.failure_code, t.failure_message, t.attempt,
        coalesce((t.source_account_id, t.destination_account_id, t.amount_minor, t.currency)
            = (c.source_account_id, c.destination_account_id, c.amount_minor, c.currency), false) AS is_same""",
    )
    + """
    WHERE c.state = 'under_way' AND (t.state IN ('completed', 'failed', 'cancelled', 'compensated')
        OR (t.id IS NULL AND k.idempotency_key IS NOT NULL))
    LIMIT $1 FOR NO KEY UPDATE OF c SKIP LOCKED
"""
)
_NOT_STARTED = _FOLLOW + " WHERE c.state = 'under_way' AND t.id IS NULL AND k.idempotency_key IS NULL LIMIT $1"


class DuePayments:
    """Safe at any time and any number of times, also at the same time. All raise `Unavailable`: repeat them."""

    def __init__(
        self,
        database: Database,
        bulk: BulkTransfers,
        hours: RunHours,
        limits: LimitTable,
        *,
        clock: Clock = time_now,
        at_once: int = AT_ONCE,
    ) -> None:
        """`clock` is PostgreSQL's, except in a test that lets days pass. `at_once` payments are one transaction."""
        self._database = database
        self._bulk = bulk
        self._fingerprints = bulk.fingerprints
        self._hours = hours
        self._limits = limits
        self._clock = clock
        self._at_once = at_once

    async def due(self, after: Place = BEGINNING) -> list[Place]:
        """The places of what is to be tried now, behind this one, in order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_DUE, await self._clock(connection), *after, self._at_once)
        return [(row["next_try_at"], row["order_id"], row["date"]) for row in rows]

    async def pay(
        self, places: Sequence[Place], workflow_id: str, progress: Callable[[], None] = lambda: None
    ) -> SweepReport:
        """Try these occurrences. What somebody else is trying, or has tried meanwhile, is left out.

        What is paid at once has no workflow of its own: its transfer names this one, the sweep's.

        Where one of them cannot be written, the others are: halves are tried until it is alone. It is due again with
        the next sweep. `progress` is called before each transaction.
        """
        progress()
        try:
            return await self._pay([(order_id, day) for _, order_id, day in places], workflow_id)
        except (RowHeld, asyncpg.IntegrityConstraintViolationError) as error:
            if len(places) == 1:
                _, order_id, day = places[0]
                log.warning(
                    "a payment was left to the next sweep", standing_order_id=order_id, date=str(day), error=str(error)
                )
                return SweepReport(left=1)
        half = len(places) // 2
        first = await self.pay(places[:half], workflow_id, progress)
        return first.plus(await self.pay(places[half:], workflow_id, progress))

    async def _pay(self, keys: Sequence[Key], workflow_id: str) -> SweepReport:
        async with self._database.transaction() as connection:
            now = await self._clock(connection)
            rows = await connection.fetch(_LOCK_DUE, *unzipped(keys, 2))
            due = [found for row in rows if self._is_stamped(found := _due_of(row))]
            accounts = await _lock_accounts(connection, due)
            payments = Payments(accounts, self._limits, self._hours, now)
            for each in due:
                payments.add(each)
            posted = await self._post(connection, payments.to_post, workflow_id)
            unpaid = {each.source_account_id for each in posted if each.state is not OccurrenceState.PAID}
            became = [*payments.without(unpaid), *posted]
            await self._write(connection, became)
        return _report(became, left=len(rows) - len(became))

    async def _post(self, connection: "Connection", payments: Sequence[Payment], workflow_id: str) -> list[Occurrence]:
        orders = [self._fingerprints.signed(replace(payment.order, workflow_id=workflow_id)) for payment in payments]
        outcomes = await self._bulk.post(connection, orders)
        return [_became(payment, outcome) for payment, outcome in zip(payments, outcomes, strict=True)]

    async def follow(self) -> SweepReport:
        """Let occurrences whose transfers have ended end as they did."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_LOCK_ENDED, self._at_once)
            became = [_ended(row) for row in rows]
            await self._write(connection, became)
        return _report(became, more=len(rows) == self._at_once)

    async def to_start(self, most: int) -> list[TransferOrder]:
        """Orders of transfers that go on in a workflow of their own and have no row yet, signed."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_NOT_STARTED, most)
        found = [each for row in rows if self._is_stamped(each := _due_of(row))]
        return [
            self._fingerprints.signed(each.order(each.occurrence.amount_minor))
            for each in found
            if each.occurrence.amount_minor is not None
        ]

    def _is_stamped(self, due: DueOccurrence) -> bool:
        if self._fingerprints.is_stamped(due.occurrence.stamp, due.occurrence.contents):
            return True
        found = due.occurrence
        log.error("a due payment is not as it was made: left", standing_order_id=found.order_id, date=str(found.date))
        return False

    async def _write(self, connection: "Connection", became: Sequence[Occurrence]) -> None:
        if not became:
            return
        rows = [
            (
                each.order_id,
                each.date,
                each.state,
                each.code,
                each.message,
                each.tries,
                each.next_try_at,
                each.amount_minor,
                each.transfer_id,
                self._fingerprints.stamp(each.contents),
            )
            for each in became
        ]
        await connection.execute(_WRITE, *unzipped(rows, 10))
        await write_occurrence_notices(connection, became)


async def _lock_accounts(connection: "Connection", due: Iterable[DueOccurrence]) -> dict[AccountId, Account]:
    ids = {
        account
        for each in due
        for account in (each.occurrence.source_account_id, each.occurrence.destination_account_id)
    }
    return {row["a_id"]: account_of(row) for row in await connection.fetch(_LOCK_ACCOUNTS, list(ids))}


def _became(payment: Payment, outcome: BulkOutcome) -> Occurrence:
    amount = payment.order.amount_minor
    if outcome.standing is not None:
        return payment.due.after(outcome.standing, amount)
    return (
        payment.due.under_way(payment.order.transfer_id, amount)
        if outcome.needs_review
        else payment.due.failed(KEY_TAKEN)
    )


def _due_of(row: Row) -> DueOccurrence:
    return DueOccurrence(
        dataclass_of(Occurrence, row),
        row["owner_id"],
        row["time_zone"],
        row["retry_days"],
        OutageRule(row["after_outage"]),
    )


def _ended(row: Row) -> Occurrence:
    found = _due_of(row)
    transfer_id, amount = found.occurrence.transfer_id, found.occurrence.amount_minor
    if not row["is_same"]:
        return found.failed(KEY_TAKEN)
    assert transfer_id is not None
    assert amount is not None
    failure = Failure(row["failure_code"], row["failure_message"]) if row["failure_code"] else None
    return found.after(Standing(transfer_id, row["attempt"], State(row["transfer_state"]), failure), amount)


def _report(became: Sequence[Occurrence], left: int = 0, *, more: bool = False) -> SweepReport:
    counts = dict.fromkeys(OccurrenceState, 0)
    for each in became:
        counts[each.state] += 1
    return SweepReport(
        paid=counts[OccurrenceState.PAID],
        under_way=counts[OccurrenceState.UNDER_WAY],
        waiting=counts[OccurrenceState.DUE],
        missed=counts[OccurrenceState.MISSED],
        failed=counts[OccurrenceState.FAILED],
        skipped=counts[OccurrenceState.SKIPPED],
        left=left,
        more=more,
    )
