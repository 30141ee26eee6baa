"""Dates fall due: each date of a standing order that has come gets its one occurrence.

Before a key of stamps is retired, what it has stamped and is still to be paid is stamped anew here.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from database.connections import Database
from database.rows import columns_for, dataclass_of
from ledger.fingerprints import Fingerprints
from ledger.ids import StandingOrderId
from standing_orders.occurrence import OUTAGE, Occurrence, OccurrenceState
from standing_orders.postgres.occurrence_notices import write_occurrence_notices
from standing_orders.postgres.rows import columns_of_next, time_now, unzipped
from standing_orders.postgres.tables import standing_order_occurrences, standing_orders
from standing_orders.standing_order import (
    DueRules,
    NextDate,
    StandingOrder,
    StandingOrderState,
    stamped_contents,
    to_be_paid,
)

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

# So many orders, or occurrences, are one transaction.
AT_ONCE = 500

Clock = Callable[["Connection"], Awaitable[datetime]]

_ORDER_COLUMNS = ", ".join(f"o.{column.name}" for column in columns_for(StandingOrder, standing_orders))

_OCCURRENCE_COLUMNS = ", ".join(f"c.{column.name}" for column in columns_for(Occurrence, standing_order_occurrences))

_LOCK_ORDERS = f"""
    SELECT {_ORDER_COLUMNS} FROM standing_orders o
    WHERE o.state = 'active' AND o.next_at <= $1 AND o.id <> ALL ($3::text[])
    ORDER BY o.next_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""

# A date that was skipped ahead has its occurrence already. It answers with those that an outage has missed.
_ADD = f"""
    WITH c AS (
        INSERT INTO standing_order_occurrences (order_id, date, number, paid_on, state, code, message, next_try_at,
            source_account_id, destination_account_id, currency, amount_minor, above_minor, note, stamp)
        SELECT * FROM unnest($1::text[], $2::date[], $3::integer[], $4::date[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::text[],
            $15::text[])
        ON CONFLICT DO NOTHING RETURNING *
    )
    SELECT {_OCCURRENCE_COLUMNS} FROM c WHERE c.state = 'missed'
"""
_MOVE_ON = """
    UPDATE standing_orders o SET next_number = moved.number, next_date = moved.date, next_at = moved.at,
        stamp = moved.stamp, state = moved.state,
        ended_at = CASE WHEN moved.state = 'completed' THEN clock_timestamp() END
    FROM unnest($1::text[], $2::integer[], $3::date[], $4::timestamptz[], $5::text[], $6::text[])
        AS moved (id, number, date, at, stamp, state)
    WHERE o.id = moved.id
"""

# While keys are being changed, and only then: these read what is open.
_LOCK_OLD_ORDERS = f"""
    SELECT {_ORDER_COLUMNS} FROM standing_orders o
    WHERE o.state IN ('active', 'paused') AND split_part(o.stamp, '.', 1) = ANY ($1::text[])
        AND o.id <> ALL ($3::text[])
    LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_STAMP_ORDERS = """
    UPDATE standing_orders o SET stamp = anew.stamp
    FROM unnest($1::text[], $2::text[]) AS anew (id, stamp) WHERE o.id = anew.id
"""
_LOCK_OLD_OCCURRENCES = f"""
    SELECT {_OCCURRENCE_COLUMNS} FROM standing_order_occurrences c
    WHERE c.state IN ('due', 'under_way') AND split_part(c.stamp, '.', 1) = ANY ($1::text[])
        AND c.order_id <> ALL ($3::text[])
    LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_STAMP_OCCURRENCES = """
    UPDATE standing_order_occurrences c SET stamp = anew.stamp
    FROM unnest($1::text[], $2::date[], $3::text[]) AS anew (order_id, date, stamp)
    WHERE c.order_id = anew.order_id AND c.date = anew.date
"""


class DueDates:
    """Safe at any time and any number of times, also at the same time. Raises `Unavailable`: repeat it."""

    def __init__(
        self,
        database: Database,
        fingerprints: Fingerprints,
        rules: DueRules,
        *,
        clock: Clock = time_now,
        at_once: int = AT_ONCE,
    ) -> None:
        """`clock` is PostgreSQL's, except in a test that lets days pass. `at_once` orders are one transaction."""
        self._database = database
        self._fingerprints = fingerprints
        self._rules = rules
        self._clock = clock
        self._at_once = at_once

    async def fall_due(self, altered: set[StandingOrderId]) -> int:
        """Write the occurrences of the dates that have come; of how many orders. 0: none is left.

        One transaction locks the orders, writes the occurrences and moves the orders on. Killed before its commit,
        nothing has happened; after it, the payments find the occurrences. Another sweep skips orders that are locked,
        and the key (order, date) refuses a second occurrence. An order whose row is not as the API wrote it is said
        in the log and added to `altered`, whose orders are left as they are.
        """
        async with self._database.transaction() as connection:
            now = await self._clock(connection)
            rows = await connection.fetch(_LOCK_ORDERS, now, self._at_once, sorted(altered))
            orders = [dataclass_of(StandingOrder, row) for row in rows]
            genuine = [order for order in orders if self._is_genuine(order)]
            altered |= {order.id for order in orders} - {order.id for order in genuine}
            passed = [(order, self._rules.passed(order, order.next_number, now)) for order in genuine]
            added = unzipped([row for each in passed for row in self._added(*each, now)], 15)
            missed = [dataclass_of(Occurrence, row) for row in await connection.fetch(_ADD, *added)]
            await write_occurrence_notices(connection, missed)
            await connection.execute(_MOVE_ON, *unzipped([self._moved_on(*each) for each in passed], 6))
        return len(orders)

    async def renew_stamps(self, altered: set[StandingOrderId]) -> int:
        """Stamp with the newest key what an older one has stamped and is still to be paid; how many rows. 0: none.

        Else an order that is paid once a year would stop once its key is retired. A retired key proves nothing here:
        who has stolen it orders nothing. A row that is not as the API wrote it is left, and its order added to
        `altered`. Without an older key nothing is read.
        """
        older = self._fingerprints.keys_to_retire
        if not older:
            return 0
        async with self._database.transaction() as connection:
            known = sorted(altered)
            rows = await connection.fetch(_LOCK_OLD_ORDERS, older, self._at_once, known)
            orders = [dataclass_of(StandingOrder, row) for row in rows]
            genuine = [order for order in orders if self._is_genuine(order)]
            stamps = [(order.id, self._fingerprints.stamp(_contents(order))) for order in genuine]
            await connection.execute(_STAMP_ORDERS, *unzipped(stamps, 2))
            rows = await connection.fetch(_LOCK_OLD_OCCURRENCES, older, self._at_once, known)
            found = [dataclass_of(Occurrence, row) for row in rows]
            whole = [each for each in found if self._fingerprints.is_stamped(each.stamp, each.contents)]
            renewed = [(each.order_id, each.date, self._fingerprints.stamp(each.contents)) for each in whole]
            await connection.execute(_STAMP_OCCURRENCES, *unzipped(renewed, 3))
        altered |= {order.id for order in orders} - {order.id for order in genuine}
        altered |= {each.order_id for each in found} - {each.order_id for each in whole}
        return len(orders) + len(found)

    def _is_genuine(self, order: StandingOrder) -> bool:
        if self._fingerprints.is_stamped(order.stamp, _contents(order)):
            return True
        log.error("a standing order is not as it was accepted: it pays nothing", standing_order_id=order.id)
        return False

    def _added(self, order: StandingOrder, passed: Sequence[NextDate], now: datetime) -> Iterable[tuple[object, ...]]:
        paid = to_be_paid(order.after_outage, passed, self._rules.first_allowed(order, now))
        for each in passed:
            is_due = each.number in paid
            terms = (order.source_account_id, order.destination_account_id, order.currency)
            what = (order.amount_minor, order.above_minor, order.note)
            contents = ("occurrence", order.id, each.date.isoformat(), *terms, *what)
            yield (
                order.id,
                each.date,
                each.number,
                each.paid_on,
                OccurrenceState.DUE if is_due else OccurrenceState.MISSED,
                None if is_due else OUTAGE.code,
                None if is_due else OUTAGE.message,
                each.at if is_due else None,
                *terms,
                *what,
                self._fingerprints.stamp(contents),
            )

    def _moved_on(self, order: StandingOrder, passed: Sequence[NextDate]) -> tuple[object, ...]:
        """The order behind these dates. Its stamp is made anew, so that a key which is to go is in use no longer."""
        number = order.next_number + len(passed)
        upcoming = self._rules.next_date(order, number)
        state = StandingOrderState.ACTIVE if upcoming else StandingOrderState.COMPLETED
        stamp = self._fingerprints.stamp(_contents(order))
        number, day, at = columns_of_next(number, upcoming)
        return (order.id, number, day, at, stamp, state)


def _contents(order: StandingOrder) -> tuple[object, ...]:
    return stamped_contents(order.id, order.owner_id, order.source_account_id, order.currency, order)
