"""The tables of standing orders and of their occurrences."""

from sqlalchemy import BigInteger, Boolean, Column, Date, ForeignKey, Index, Integer, SmallInteger, Table, Text, text

from database.metadata import METADATA, Timestamp, required
from database.statements import one_of
from standing_orders.occurrence import OccurrenceState

_NOW = text("clock_timestamp()")

standing_orders = Table(
    "standing_orders",
    METADATA,
    Column("id", Text, primary_key=True),
    required("owner_id", Text),
    required("source_account_id", Text),
    required("destination_account_id", Text),
    required("currency", Text),
    Column("amount_minor", BigInteger),
    Column("above_minor", BigInteger),
    Column("note", Text),
    required("frequency", Text),
    required("first_date", Date),
    required("every", Integer),
    required("last_day", Boolean),
    Column("end_date", Date),
    Column("count", Integer),
    required("time_zone", Text),
    required("holidays", Text),
    required("after_outage", Text),
    required("retry_days", SmallInteger),
    required("state", Text, server_default="active"),
    Column("paused_by", Text),
    required("next_number", Integer, server_default="0"),
    Column("next_date", Date),
    Column("next_at", Timestamp),
    required("stamp", Text),
    required("created_at", Timestamp, server_default=_NOW),
    required("updated_at", Timestamp, server_default=_NOW),
    Column("ended_at", Timestamp),
)
_ORDERS = standing_orders.c
_NEWEST_FIRST = (_ORDERS.created_at.desc(), _ORDERS.id.desc())
Index("standing_orders_due", _ORDERS.next_at, postgresql_where=_ORDERS.state == text("'active'"))
Index("standing_orders_by_owner", _ORDERS.owner_id, *_NEWEST_FIRST)
Index("standing_orders_by_state", _ORDERS.state, *_NEWEST_FIRST)
Index("standing_orders_by_time", *_NEWEST_FIRST)

standing_order_occurrences = Table(
    "standing_order_occurrences",
    METADATA,
    Column("order_id", Text, ForeignKey("standing_orders.id"), primary_key=True),
    Column("date", Date, primary_key=True),
    required("number", Integer),
    required("paid_on", Date),
    required("state", Text),
    Column("code", Text),
    Column("message", Text),
    required("tries", Integer, server_default="0"),
    Column("next_try_at", Timestamp),
    required("source_account_id", Text),
    required("destination_account_id", Text),
    required("currency", Text),
    Column("amount_minor", BigInteger),
    Column("above_minor", BigInteger),
    Column("note", Text),
    Column("transfer_id", Text),
    Column("stamp", Text),
    required("created_at", Timestamp, server_default=_NOW),
    required("updated_at", Timestamp, server_default=_NOW),
)
_OCCURRENCES = standing_order_occurrences.c
Index(
    "standing_order_occurrences_due",
    *(_OCCURRENCES.next_try_at, _OCCURRENCES.order_id, _OCCURRENCES.date),
    postgresql_where=_OCCURRENCES.state == text("'due'"),
)
Index(
    "standing_order_occurrences_under_way",
    *(_OCCURRENCES.order_id, _OCCURRENCES.date),
    postgresql_where=_OCCURRENCES.state == text("'under_way'"),
)
Index(
    "standing_order_occurrences_ended",
    _OCCURRENCES.updated_at,
    postgresql_where=one_of(_OCCURRENCES.state, (state for state in OccurrenceState if state.is_final)),
)
