"""Reads the outbox in the order of its positions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import BigInteger, Text, bindparam, select

from database.connections import Database
from database.rows import columns_for
from database.statements import Row, fetch, fetch_first
from events.event import Event, EventId, EventType
from events.in_turns import in_turns
from events.postgres.tables import event_head, outbox_events

if TYPE_CHECKING:
    from database.connections import Connection

_COLUMNS = columns_for(Event, outbox_events)
_EVENTS = outbox_events.c

# Only numbered events: the condition on their position is that of the indexes.
_AFTER = (
    select(*_COLUMNS)
    .where(_EVENTS.position.is_not(None), _EVENTS.position > bindparam("after", type_=BigInteger))
    .order_by(_EVENTS.position)
    .limit(bindparam("most", type_=BigInteger))
)
# Positions have no gaps, so these are as many as asked for. Without a last one, PostgreSQL may sort all that follows:
# its statistics are of before, and know of no events there.
_NEXT = _AFTER.where(_EVENTS.position <= bindparam("last", type_=BigInteger))
# Months that were dropped leave a gap.
_AFTER_GAP = _AFTER.where(bindparam("after", type_=BigInteger) < select(event_head.c.dropped_through).scalar_subquery())
_FIND = select(*_COLUMNS).where(_EVENTS.position.is_not(None), _EVENTS.event_id == bindparam("event_id", type_=Text))
_HEAD = select(event_head.c.last, event_head.c.dropped_through)


def event_of(row: Row) -> Event:
    """The event in a row of the outbox. Written out, as each event passes here: `dataclass_of` costs twice as much."""
    return Event(
        position=row["position"],
        event_id=row["event_id"],
        type=EventType(row["type"]),
        version=row["version"],
        subject=row["subject"],
        partition_key=row["partition_key"],
        account_id=row["account_id"],
        account_version=row["account_version"],
        audience=tuple(row["audience"]),
        data=orjson.loads(row["data"]),
        request_id=row["request_id"],
        occurred_at=row["occurred_at"],
    )


async def read_after(connection: "Connection", position: int, limit: int) -> list[Event]:
    """As `EventStream.after`, on this connection and so in its transaction."""
    rows = await fetch(connection, _NEXT, after=position, last=position + limit, most=limit)
    if not rows:
        rows = await fetch(connection, _AFTER_GAP, after=position, most=limit)
    return await _events_of(rows)


async def _events_of(rows: Sequence[Row]) -> list[Event]:
    found: list[Event] = []
    async for several in in_turns(rows):
        found += [event_of(row) for row in several]
    return found


class EventStream:
    """The numbered events. All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, position: int, limit: int) -> list[Event]:
        """The next events behind this position, in order, at most `limit`.

        The first has the very next position, unless its month has been dropped.
        """
        async with self._database.connection() as connection:
            return await read_after(connection, position, limit)

    async def head(self) -> int:
        """The last position; 0: there are no events yet."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _HEAD)
        return int(row["last"]) if row else 0

    async def find(self, event_id: EventId) -> Event | None:
        """The event with this id; None: there is none, or its month has been dropped."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, event_id=event_id)
        return event_of(row) if row else None
