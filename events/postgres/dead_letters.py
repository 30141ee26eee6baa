"""Dead letters in PostgreSQL: how they come to be, the lists for staff, and what waits to be sent again."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    not_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch_first
from events.dead_letter import DeadLetter, LetterState, NoSuchDeadLetter, Undelivered, is_queue
from ledger.ids import CustomerId, DeadLetterId, new_dead_letter_id
from ledger.postgres.reversals import hidden_from
from ledger.postgres.tables import transfers

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

# Sends letters to where they died, and returns those that are refused again, with the reason.
Send = Callable[[Sequence[DeadLetter]], Awaitable[Sequence[tuple[DeadLetter, str]]]]

# Sent in one transaction, which must not stay open for long.
REPLAYS_AT_ONCE = 20
REPLAY_SECONDS = 5

dead_letters = Table(
    "dead_letters",
    METADATA,
    Column("id", Text, primary_key=True),
    required("source", Text),
    Column("target", Text),
    Column("event_id", Text),
    Column("type", Text),
    required("reason", Text),
    required("attempts", Integer),
    required("body", JSONB),
    required("state", Text, server_default="dead"),
    required("died_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("ended_by", Text, ForeignKey("customers.id")),
    Column("ended_reason", Text),
    Column("ended_at", Timestamp),
)
_LETTERS = dead_letters.c
_IS_DEAD = _LETTERS.state == text("'dead'")
_NEWEST = (_LETTERS.died_at.desc(), _LETTERS.id.desc())
Index(
    "dead_letters_once",
    *(_LETTERS.source, _LETTERS.target, _LETTERS.event_id),
    unique=True,
    postgresql_nulls_not_distinct=True,
    postgresql_where=_IS_DEAD & _LETTERS.event_id.is_not(None),
)
Index("dead_letters_by_time", *_NEWEST)
Index("dead_letters_dead", *_NEWEST, postgresql_where=_IS_DEAD)
Index("dead_letters_of_source", _LETTERS.source, *_NEWEST)

dead_letter_replays = Table(
    "dead_letter_replays",
    METADATA,
    Column("dead_letter_id", Text, ForeignKey("dead_letters.id"), primary_key=True),
    required("source", Text),
    required("requested_at", Timestamp, server_default=text("clock_timestamp()")),
)
Index("dead_letter_replays_of_source", dead_letter_replays.c.source, dead_letter_replays.c.requested_at)

_SELECT = select(*columns_for(DeadLetter, dead_letters))
_FIND = _SELECT.where(_LETTERS.id == bindparam("letter_id"))

# In the order of ids, so that two that lock many lock them in the same order.
_LOCK = "SELECT * FROM dead_letters WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE"
_END = """
    UPDATE dead_letters SET state = $2, ended_by = $3, ended_reason = $4, ended_at = clock_timestamp()
    WHERE id = ANY ($1) RETURNING *
"""

# The same event may die at the same place again while its letter still waits: that is one letter.
_BURY = """
    INSERT INTO dead_letters (id, source, target, event_id, type, reason, attempts, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb) ON CONFLICT DO NOTHING RETURNING true
"""
_EMIT = "SELECT emit_event('delivery.dead', $1, $2, NULL, NULL, $3::text[], $4::jsonb)"

_ENQUEUE = """
    INSERT INTO dead_letter_replays (dead_letter_id, source) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING
"""
_HAVE_SINKS = "SELECT name FROM sinks WHERE name = ANY ($1::text[])"
_WAITING = """
    SELECT d.* FROM dead_letter_replays r JOIN dead_letters d ON d.id = r.dead_letter_id
    WHERE r.source = $1 ORDER BY r.requested_at, r.dead_letter_id LIMIT $2 FOR UPDATE OF r SKIP LOCKED
"""
# PostgreSQL would end a session that waits for a receiver so long.
_PATIENCE = f"SET LOCAL idle_in_transaction_session_timeout = '{REPLAY_SECONDS + 3}s'"
_SENT = "DELETE FROM dead_letter_replays WHERE dead_letter_id = ANY ($1)"

_COUNTS = "SELECT source, count(*) AS letters FROM dead_letters WHERE state = 'dead' GROUP BY source"

# An event about a dead letter that dies itself tells of nothing new, and would never end.
DEAD_LETTER_EVENT = "delivery.dead"


@dataclass(frozen=True, slots=True)
class LetterSearch:
    """Which letters are meant; `since` is when they died. `before` is the place of the last one of the page before.

    `hidden_from` leaves out what tells of others' attempts to reverse what this person was paid, as everywhere.
    """

    state: LetterState | None = None
    source: str | None = None
    target: str | None = None
    type: str | None = None
    since: datetime | None = None
    before: Place | None = None
    hidden_from: CustomerId | None = None


async def bury(connection: "Connection", undelivered: Undelivered) -> DeadLetterId | None:
    """Write a dead letter, and its event, in the transaction that gives up on the delivery.

    None: the same event is dead at the same place already.
    """
    letter_id = new_dead_letter_id()
    values = (
        undelivered.source,
        undelivered.target,
        undelivered.event_id,
        undelivered.type,
        undelivered.reason,
        undelivered.attempts,
    )
    if await connection.fetchval(_BURY, letter_id, *values, json.dumps(undelivered.body)) is None:
        return None
    if undelivered.type != DEAD_LETTER_EVENT:
        names = ("source", "target", "event_id", "type", "reason", "attempts")
        about = {"dead_letter": {"id": letter_id} | dict(zip(names, values, strict=True))}
        await connection.execute(
            _EMIT, letter_id, undelivered.partition_key or letter_id, list(undelivered.audience), json.dumps(about)
        )
    return letter_id


async def enqueue_replays(connection: "Connection", letters: Sequence[DeadLetter]) -> list[str]:
    """Let whoever sends to the place of these letters send them again: the replayer of sinks and of queues.

    It takes no letter of a sink that was retired: nobody would ever send it.
    """
    sources = {letter.source for letter in letters}
    known = {row["name"] for row in await connection.fetch(_HAVE_SINKS, sorted(sources))}
    taken = [letter for letter in letters if letter.source in known or is_queue(letter.source)]
    for source in sorted({letter.source for letter in taken}):
        await connection.execute(_ENQUEUE, [letter.id for letter in taken if letter.source == source], source)
    return [letter.id for letter in taken]


async def send_replays(database: Database, source: str, send: Send) -> int:
    """Send again what staff have asked for, some at once, and return how many there were.

    Of several processes each takes others. A crash may send some once more, with the same ids; what is refused again is
    a new dead letter. Raises what `send` raises, and then all of it waits on.
    """
    async with database.transaction() as connection:
        letters = [_letter_of(row) for row in await connection.fetch(_WAITING, source, REPLAYS_AT_ONCE)]
        if letters:
            await connection.execute(_PATIENCE)
            async with asyncio.timeout(REPLAY_SECONDS):
                refused = await send(letters)
            await connection.execute(_SENT, [letter.id for letter in letters])
            for letter, reason in refused:
                await bury(connection, _again(letter, reason))
    if letters:
        log.info("dead letters were sent again", source=source, letters=len(letters), refused=len(refused))
    return len(letters)


def _again(letter: DeadLetter, reason: str) -> Undelivered:
    return Undelivered(
        source=letter.source,
        target=letter.target,
        event_id=letter.event_id,
        type=letter.type,
        reason=reason,
        attempts=letter.attempts + 1,
        body=letter.body,
    )


async def lock_letters(connection: "Connection", letter_ids: Sequence[str]) -> list[DeadLetter]:
    """These letters as they are now, locked until the transaction ends."""
    rows = await connection.fetch(_LOCK, list(letter_ids))
    return [_letter_of(row) for row in rows]


async def end_letters(
    connection: "Connection", letter_ids: Sequence[str], state: LetterState, ended_by: CustomerId, reason: str
) -> list[DeadLetter]:
    """Mark these letters, which must be dead and locked. Returns them as they are then."""
    return [_letter_of(row) for row in await connection.fetch(_END, list(letter_ids), state.value, ended_by, reason)]


class DeadLetters:
    """Reads of dead letters. All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, letter_id: DeadLetterId, reader_id: CustomerId) -> DeadLetter:
        """One letter that these staff may see. Refuses with `NoSuchDeadLetter`."""
        async with self._database.connection() as connection:
            return await find_letter(connection, letter_id, reader_id)

    async def find_all(self, wanted: LetterSearch, limit: int) -> Page[DeadLetter]:
        """Letters, newest first."""
        async with self._database.connection() as connection:
            return await find_letters(connection, wanted, limit)

    async def counts(self) -> dict[str, int]:
        """How many are dead, by source."""
        async with self._database.connection() as connection:
            return {row["source"]: row["letters"] for row in await connection.fetch(_COUNTS)}


async def find_letter(connection: "Connection", letter_id: DeadLetterId, reader_id: CustomerId) -> DeadLetter:
    """One letter that these staff may see, on this connection. Refuses with `NoSuchDeadLetter`."""
    row = await fetch_first(connection, _FIND.where(_is_shown_to(reader_id)), letter_id=letter_id)
    if row is None:
        raise NoSuchDeadLetter(letter_id)
    return _letter_of(row)


async def find_letters(connection: "Connection", wanted: LetterSearch, limit: int) -> Page[DeadLetter]:
    """Letters, newest first, on this connection."""
    statement = newest_first(_SELECT, _LETTERS.died_at, _LETTERS.id, behind=wanted.before is not None)
    values: dict[str, Any] = {}
    if wanted.state is LetterState.DEAD:
        statement = statement.where(_IS_DEAD)
    elif wanted.state is not None:
        statement = statement.where(_LETTERS.state == bindparam("state"))
        values["state"] = wanted.state.value
    for name in ("source", "target", "type"):
        if (value := getattr(wanted, name)) is not None:
            statement = statement.where(_LETTERS[name] == bindparam(name))
            values[name] = value
    if wanted.since is not None:
        statement = statement.where(_LETTERS.died_at >= bindparam("since", type_=Timestamp))
        values["since"] = wanted.since
    if wanted.hidden_from is not None:
        statement = statement.where(_is_shown_to(wanted.hidden_from))
    return await fetch_page(connection, statement, limit, _letter_of, wanted.before, **values)


def _is_shown_to(reader_id: CustomerId) -> ColumnElement[bool]:
    """A body is the event, in whatever form its receiver was to get it: all have a subject and its data."""
    abouts = (_LETTERS.body["subject"].astext, _LETTERS.body["data"]["notification"]["transfer_id"].astext)
    return and_(*(not_(exists().where(transfers.c.id == about, hidden_from(reader_id))) for about in abouts))


def _letter_of(row: Row) -> DeadLetter:
    return dataclass_of(DeadLetter, row)
