"""Notifications in PostgreSQL: written with what they are about, listed newest first, and marked as read."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    any_,
    bindparam,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first
from ledger.ids import SYSTEM_CUSTOMER, AccountId, CustomerId, NotificationId, TransferId
from ledger.transfers import Step
from notifications.notification import MOST_COUNTED, Notification, ReadMarks

if TYPE_CHECKING:
    from database.connections import Connection

# As PostgreSQL prints it.
_HEX = "replace((gen_random_uuid())::text, '-'::text, ''::text)"
NEW_ID = f"""('ntf_'::text || translate("left"({_HEX}, 26), '0189'::text, 'ghij'::text))"""

notifications = Table(
    "notifications",
    METADATA,
    Column("id", Text, primary_key=True, server_default=text(NEW_ID)),
    Column("transfer_id", Text, ForeignKey("transfers.id")),
    Column("attempt", SmallInteger),
    Column("account_id", Text, ForeignKey("accounts.id")),
    required("customer_id", Text, ForeignKey("customers.id")),
    required("occasion", Text),
    required("body", Text),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("read_at", Timestamp),
    UniqueConstraint(
        "transfer_id",
        "attempt",
        "account_id",
        "customer_id",
        "occasion",
        name="notifications_once",
        postgresql_nulls_not_distinct=True,
    ),
)
_COLUMNS = notifications.c
_NEWEST_FIRST = (_COLUMNS.created_at.desc(), _COLUMNS.id.desc())
_IS_UNREAD = _COLUMNS.read_at.is_(None)
Index("notifications_by_customer", _COLUMNS.customer_id, *_NEWEST_FIRST)
Index("notifications_unread", _COLUMNS.customer_id, *_NEWEST_FIRST, postgresql_where=_IS_UNREAD)

# What concerns no transfer: one notification for each occasion. Nobody reads for the system.
_WRITE_ONE = f"""
    INSERT INTO notifications (customer_id, account_id, occasion, body)
    SELECT $1, $2, $3, $4 WHERE $1 <> '{SYSTEM_CUSTOMER}'
    ON CONFLICT DO NOTHING
"""

_WRITE_NOTICES = f"""
    INSERT INTO notifications (customer_id, account_id, occasion, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
        AS given (customer_id, account_id, occasion, body)
    WHERE customer_id <> '{SYSTEM_CUSTOMER}'
    ON CONFLICT DO NOTHING
"""

# Only whoever asked for a reversal reads that it took nothing: its other party need not know that staff tried.
_WRITE = """
    INSERT INTO notifications (transfer_id, attempt, account_id, customer_id, occasion, body)
    SELECT $1, $2, a.id, a.owner_id, 'ended', given.body
    FROM unnest($3::text[], $4::text[]) AS given (account_id, body) JOIN accounts a ON a.id = given.account_id
    JOIN transfers t ON t.id = $1
    WHERE (t.kind <> 'reversal' OR t.owner_id = a.owner_id OR t.state IN ('completed', 'compensated'))
    ON CONFLICT DO NOTHING
"""

# The same for first attempts of many transfers, which were written in this very transaction. None is a reversal, and
# nobody else can have told of them.
_WRITE_MANY = """
    INSERT INTO notifications (transfer_id, attempt, account_id, customer_id, occasion, body)
    SELECT given.transfer_id, 1, a.id, a.owner_id, 'ended', given.body
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS given (transfer_id, account_id, body, place)
    JOIN accounts a ON a.id = given.account_id
    ORDER BY given.place
"""

_OWN = select(*columns_for(Notification, notifications)).where(_COLUMNS.customer_id == bindparam("customer_id"))
_FIND = _OWN.where(_COLUMNS.id == bindparam("notification_id"))
_NAMED = _OWN.where(_COLUMNS.id == any_(bindparam("ids", type_=ARRAY(Text))))

# By whether only unread ones are wanted, and whether the page is a later one.
_LISTS = {
    (unread_only, behind): newest_first(
        _OWN.where(_IS_UNREAD) if unread_only else _OWN, _COLUMNS.created_at, _COLUMNS.id, behind=behind
    )
    for unread_only in (False, True)
    for behind in (False, True)
}

# So many at once, so that the statement ends in time.
MOST_MARKED = 10_000

# Locked in one order, so that two requests of one customer cannot deadlock.
_MARK = """
    UPDATE notifications SET read_at = clock_timestamp() WHERE id IN (
        SELECT id FROM notifications WHERE customer_id = $1 AND read_at IS NULL AND {wanted}
        ORDER BY created_at DESC, id DESC LIMIT {most} FOR NO KEY UPDATE
    )
"""
_MARK_NAMED = _MARK.format(wanted="id = ANY ($2::text[])", most=MOST_MARKED)
_MARK_THROUGH = _MARK.format(wanted="(created_at, id) <= ($2::timestamptz, $3::text)", most=MOST_MARKED)

_COUNT = f"""
    SELECT count(*) FROM (
        SELECT FROM notifications WHERE customer_id = $1 AND read_at IS NULL LIMIT {MOST_COUNTED}
    ) AS unread
"""


class Notifications:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, reports: Database | None = None) -> None:
        """`reports` are the connections of what is read, also for each open page; None: those of all requests."""
        self._database = database
        self._reports = reports or database

    async def write(self, step: Step, bodies: Mapping[AccountId, str]) -> None:
        """Tell each account's owner how this attempt ended. A repeat writes nothing."""
        async with self._database.connection() as connection:
            await connection.execute(_WRITE, step.transfer_id, step.attempt, list(bodies), list(bodies.values()))

    async def of_customer(
        self, customer_id: CustomerId, before: Place | None, limit: int, *, unread_only: bool = False
    ) -> Page[Notification]:
        """The customer's notifications, newest first."""
        listed = _LISTS[unread_only, before is not None]
        async with self._reports.connection() as connection:
            return await fetch_page(connection, listed, limit, _notification_of, before, customer_id=customer_id)

    async def find(self, customer_id: CustomerId, notification_id: NotificationId) -> Notification | None:
        """A notification of this customer; None: they have none with this id."""
        async with self._reports.connection() as connection:
            row = await fetch_first(connection, _FIND, customer_id=customer_id, notification_id=notification_id)
        return _notification_of(row) if row else None

    async def named(self, customer_id: CustomerId, ids: Sequence[NotificationId]) -> list[Notification]:
        """Those of these notifications that are the customer's, in no order."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _NAMED, customer_id=customer_id, ids=list(ids))
        return [_notification_of(row) for row in rows]

    async def unread(self, customer_id: CustomerId) -> int:
        """How many the customer has not read, counted up to `MOST_COUNTED`."""
        async with self._reports.connection() as connection:
            return int(await connection.fetchval(_COUNT, customer_id))

    async def mark_read(
        self, customer_id: CustomerId, ids: Sequence[NotificationId], keep: Keep[ReadMarks] = keeps_nothing
    ) -> ReadMarks:
        """Mark these as read. Others' ids, and those that are read, change nothing. Safe to repeat."""
        async with self._database.transaction() as connection:
            marked = await connection.execute(_MARK_NAMED, customer_id, list(ids))
            return await _kept(connection, customer_id, marked, keep)

    async def mark_read_through(
        self, customer_id: CustomerId, last: Notification, keep: Keep[ReadMarks] = keeps_nothing
    ) -> ReadMarks:
        """Mark this one and all older ones as read, `MOST_MARKED` of them at once. Safe to repeat."""
        async with self._database.transaction() as connection:
            marked = await connection.execute(_MARK_THROUGH, customer_id, last.created_at, last.id)
            return await _kept(connection, customer_id, marked, keep)


async def _kept(connection: "Connection", customer_id: CustomerId, marked: str, keep: Keep[ReadMarks]) -> ReadMarks:
    """What a request has marked, by PostgreSQL's answer `UPDATE 3`."""
    marks = ReadMarks(int(marked.rsplit(maxsplit=1)[-1]), int(await connection.fetchval(_COUNT, customer_id)))
    await keep(connection, marks)
    return marks


async def write_notification(
    connection: "Connection",
    customer_id: CustomerId,
    occasion: str,
    body: str,
    account_id: AccountId | None = None,
) -> None:
    """Tell a customer what happened, in the transaction that does it. A second one of an occasion is skipped."""
    await connection.execute(_WRITE_ONE, customer_id, account_id, occasion, body)


async def write_ending_messages(connection: "Connection", bodies: Sequence[tuple[TransferId, AccountId, str]]) -> None:
    """Tell the owners of these accounts how transfers ended in their first attempt, in the transaction that ends them.

    The transfers were written in this transaction, and none of them is a reversal.
    """
    if bodies:
        await connection.execute(_WRITE_MANY, *(list(column) for column in zip(*bodies, strict=True)))


async def write_notices(connection: "Connection", notices: Sequence[tuple[CustomerId, AccountId, str, str]]) -> None:
    """Tell many customers what happened: customer, account, occasion and text of each."""
    if notices:
        await connection.execute(_WRITE_NOTICES, *(list(column) for column in zip(*notices, strict=True)))


def _notification_of(row: Row) -> Notification:
    return dataclass_of(Notification, row)
