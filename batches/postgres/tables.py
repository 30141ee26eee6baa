"""The tables of batches, for statements that SQLAlchemy Core builds. Items are written by COPY."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY

from batches.batch import BatchState
from database.metadata import METADATA, Timestamp, required
from database.statements import one_of

_CLOCK = text("clock_timestamp()")
_ZERO = text("0")

batches = Table(
    "batches",
    METADATA,
    Column("id", Text, primary_key=True),
    required("owner_id", Text, ForeignKey("customers.id")),
    required("mode", Text),
    required("state", Text, server_default="accepted"),
    required("total", Integer),
    required("posted", Integer, server_default=_ZERO),
    required("completed", Integer, server_default=_ZERO),
    required("failed", Integer, server_default=_ZERO),
    required("singles", Integer, server_default=_ZERO),
    required("created_at", Timestamp, server_default=_CLOCK),
    required("updated_at", Timestamp, server_default=_CLOCK),
    Column("ended_at", Timestamp),
    Column("decided_by", Text, ForeignKey("customers.id")),
    Column("decided_reason", Text),
    Column("request_id", Text),
)
IS_OPEN = one_of(batches.c.state, (state for state in BatchState if not state.is_final))
_NEWEST_FIRST = (batches.c.created_at.desc(), batches.c.id.desc())
Index("batches_by_owner", batches.c.owner_id, *_NEWEST_FIRST)
Index("batches_by_time", *_NEWEST_FIRST)
Index("batches_open", batches.c.created_at, postgresql_where=IS_OPEN)
Index("batches_ended", batches.c.ended_at, postgresql_where=batches.c.ended_at.is_not(None))

batch_items = Table(
    "batch_items",
    METADATA,
    Column("batch_id", Text, ForeignKey("batches.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    required("reference", Text),
    required("source_account_id", Text),
    required("destination_account_id", Text),
    required("amount_minor", BigInteger),
    required("currency", Text),
    Column("note", Text),
    required("transfer_id", Text),
    required("fingerprint", Text),
    Column("outcome", Text),
    Column("failure_code", Text),
    Column("failure_message", Text),
    Column("review_rules", ARRAY(Text)),
    UniqueConstraint("batch_id", "reference"),
)
Index(
    "batch_items_singles",
    batch_items.c.batch_id,
    batch_items.c.line,
    postgresql_where=batch_items.c.outcome == text("'single'"),
)

batch_chunks = Table(
    "batch_chunks",
    METADATA,
    Column("batch_id", Text, ForeignKey("batches.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    required("lines", Integer),
    required("completed", Integer),
    required("failed", Integer),
    required("singles", Integer),
    required("posted_at", Timestamp, server_default=_CLOCK),
)
