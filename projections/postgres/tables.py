"""The tables of the projections. Each row stands in one of two slots: that of the shown generation, or the other."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from database.metadata import METADATA, Timestamp, required

SLOTS = 2

projections = Table(
    "projections",
    METADATA,
    Column("name", Text, primary_key=True),
    required("generation", Integer),
    required("position", BigInteger, server_default="0"),
    Column("applied_at", Timestamp),
)

projection_rebuilds = Table(
    "projection_rebuilds",
    METADATA,
    Column("id", Text, primary_key=True),
    required("projection", Text, ForeignKey("projections.name")),
    Column("generation", Integer),
    Column("action_id", Text, ForeignKey("staff_actions.id"), unique=True),
    required("stage", Text, server_default="requested"),
    Column("starts_after", BigInteger),
    Column("books_until", Timestamp),
    Column("place_at", Timestamp),
    Column("place_id", Text),
    required("position", BigInteger, server_default="0"),
    required("requested_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("completed_at", Timestamp),
)
Index("projection_rebuilds_by_time", projection_rebuilds.c.projection, projection_rebuilds.c.requested_at.desc())
Index(
    "projection_rebuilds_running",
    projection_rebuilds.c.projection,
    unique=True,
    postgresql_where=projection_rebuilds.c.completed_at.is_(None),
)

account_stats = Table(
    "account_stats",
    METADATA,
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("account_id", Text, primary_key=True),
    required("version", BigInteger),
    required("balance_minor", BigInteger),
    required("deposits", BigInteger),
    required("deposited_minor", BigInteger),
    required("withdrawals", BigInteger),
    required("withdrawn_minor", BigInteger),
    required("incoming", BigInteger),
    required("incoming_minor", BigInteger),
    required("outgoing", BigInteger),
    required("outgoing_minor", BigInteger),
    required("last_activity_at", Timestamp),
)

# `reached` is a list of (attempt, state, time), oldest first.
transfer_status = Table(
    "transfer_status",
    METADATA,
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", Text, primary_key=True),
    required("state", Text),
    required("attempt", SmallInteger),
    required("reached", JSONB),
)
