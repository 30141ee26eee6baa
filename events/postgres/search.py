"""Finds events for people and integrators: those that one customer may see, or all of them for staff."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    any_,
    bindparam,
    exists,
    literal,
    not_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from database.connections import Database
from database.paging import Page
from database.rows import columns_for
from database.statements import fetch, fetch_only
from events.event import Event, EventType
from events.postgres.stream import event_of
from events.postgres.tables import READERS, event_head, outbox_events
from ledger.ids import AccountId, CustomerId
from ledger.postgres.reversals import hidden_from
from ledger.postgres.tables import transfers

_EVENTS = outbox_events.c
_MOST = bindparam("most", type_=Integer)
_EXTENT = select(event_head.c.last, event_head.c.dropped_through)


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events a list holds, behind the position `after`. A condition that is None does not apply.

    `changed_only` leaves out what concerns an account and changed nothing of it, such as a notification.
    `reader` is the customer who must be in the audience. `hidden_from` leaves out, for staff, others' attempts to
    reverse what this person was paid, as everywhere.
    """

    after: int = 0
    types: Collection[EventType] | None = None
    account_id: AccountId | None = None
    subject: str | None = None
    changed_only: bool = False
    reader: CustomerId | None = None
    hidden_from: CustomerId | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """Which positions there are: those up to `last`. Up to `dropped_through` some are no longer kept."""

    last: int
    dropped_through: int


class EventSearches:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: EventSearch, limit: int) -> Page[Event]:
        """The events in the order of their positions."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _statement(wanted), most=limit + 1)
        return Page([event_of(row) for row in rows[:limit]], has_more=len(rows) > limit)

    async def extent(self) -> Extent:
        """Which positions there are."""
        async with self._database.connection() as connection:
            row = await fetch_only(connection, _EXTENT)
        return Extent(row["last"], row["dropped_through"])


def _statement(wanted: EventSearch) -> Select[Any]:
    """Each branch reads one index in the order of the positions, and one page of it at most."""
    found = select(*columns_for(Event, outbox_events)).where(*_conditions(wanted))
    pages = [
        found.where(branch).order_by(_EVENTS.position).limit(_MOST).subquery(f"branch_{number}")
        for number, branch in enumerate(_branches(wanted))
    ]
    listed = union_all(*(select(page) for page in pages)).subquery("listed")
    return select(listed).order_by(listed.c.position).limit(_MOST)


def _branches(wanted: EventSearch) -> list[ColumnElement[bool]]:
    """Conditions of which each event that matches fulfils one, and which have an index each."""
    if wanted.account_id is not None:
        return [_EVENTS.account_id == wanted.account_id]
    if wanted.subject is not None:
        return [_EVENTS.subject == wanted.subject]
    if wanted.reader is not None:
        return [reader == wanted.reader for reader in READERS]
    if wanted.types is not None:
        return [_EVENTS.type == type_.value for type_ in sorted(wanted.types)]
    return [_EVENTS.position.is_not(None)]


def _conditions(wanted: EventSearch) -> list[ColumnElement[bool]]:
    conditions = [_EVENTS.position.is_not(None), bindparam("after", wanted.after, BigInteger) < _EVENTS.position]
    if wanted.types is not None:
        types = [type_.value for type_ in wanted.types]
        conditions.append(_EVENTS.type == any_(literal(types, ARRAY(Text))))
    if wanted.changed_only:
        conditions.append(_EVENTS.account_version.is_not(None))
    if wanted.reader is not None:
        conditions.append(literal(wanted.reader, Text) == any_(_EVENTS.audience))
    if wanted.hidden_from is not None:
        conditions += [
            not_(exists().where(transfers.c.id == about, hidden_from(wanted.hidden_from)))
            for about in (_EVENTS.subject, _EVENTS.data["notification"]["transfer_id"].astext)
        ]
    return conditions
