"""The tables of the outbox."""

from sqlalchemy import BigInteger, Boolean, Column, Index, SmallInteger, Table, Text, and_, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from database.metadata import METADATA, Timestamp, required

outbox_events = Table(
    "outbox_events",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    required("event_id", Text, server_default=text("('evt_'::text || replace((uuidv7())::text, '-'::text, ''::text))")),
    required("type", Text),
    required("version", SmallInteger, server_default="1"),
    required("subject", Text),
    required("partition_key", Text),
    Column("account_id", Text),
    Column("account_version", BigInteger),
    required("audience", ARRAY(Text)),
    required("data", JSONB),
    Column("request_id", Text),
    Column("occurred_at", Timestamp, server_default=text("clock_timestamp()"), primary_key=True),
    Column("position", BigInteger),
)
_EVENTS = outbox_events.c
_IS_NUMBERED = _EVENTS.position.is_not(None)

Index("outbox_events_unnumbered", _EVENTS.id, postgresql_where=_EVENTS.position.is_(None))
Index("outbox_events_by_position", _EVENTS.position, postgresql_where=_IS_NUMBERED)
Index("outbox_events_by_event_id", _EVENTS.event_id, postgresql_where=_IS_NUMBERED)
Index("outbox_events_by_type", _EVENTS.type, _EVENTS.position, postgresql_where=_IS_NUMBERED)
Index("outbox_events_by_subject", _EVENTS.subject, _EVENTS.position, postgresql_where=_IS_NUMBERED)
Index(
    "outbox_events_by_account",
    _EVENTS.account_id,
    _EVENTS.position,
    postgresql_where=and_(_IS_NUMBERED, _EVENTS.account_id.is_not(None)),
)

# As PostgreSQL prints them: `audience` counts from 1. No event has a longer one.
READERS = tuple(literal_column(f"(audience[{number}])", Text) for number in (1, 2, 3))
for _number, _reader in enumerate(READERS, 1):
    Index(
        f"outbox_events_by_reader_{_number}",
        _reader,
        _EVENTS.position,
        postgresql_where=text(f"position IS NOT NULL AND audience[{_number}] IS NOT NULL"),
    )

event_head = Table(
    "event_head",
    METADATA,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    required("last", BigInteger, server_default="0"),
    required("dropped_through", BigInteger, server_default="0"),
    required("began_at", Timestamp, server_default=text("clock_timestamp()")),
)
