"""The tables of the trails, and how a record is hashed."""

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from database.metadata import METADATA, Timestamp, required
from database.statements import one_of
from trail.record import RecordOutcome

audit_records = Table(
    "audit_records",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("recorded_at", Timestamp, server_default=text("clock_timestamp()"), primary_key=True),
    required("kind", Text),
    required("outcome", Text),
    required("subject", Text),
    Column("actor_id", Text),
    Column("transfer_id", Text),
    Column("workflow_id", Text),
    Column("code", Text),
    Column("reason", Text),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("request_id", Text),
    Column("address", Text),
)
_AUDIT = audit_records.c
Index("audit_records_by_kind", _AUDIT.kind, _AUDIT.id.desc())
Index("audit_records_refused", _AUDIT.id.desc(), postgresql_where=one_of(_AUDIT.outcome, [RecordOutcome.REFUSED]))
Index("audit_records_by_subject", _AUDIT.subject, _AUDIT.id.desc())
Index("audit_records_by_actor", _AUDIT.actor_id, _AUDIT.id.desc(), postgresql_where=_AUDIT.actor_id.is_not(None))
Index(
    "audit_records_by_transfer",
    _AUDIT.transfer_id,
    _AUDIT.id.desc(),
    postgresql_where=_AUDIT.transfer_id != _AUDIT.subject,
)
Index("audit_records_by_request", _AUDIT.request_id, _AUDIT.id.desc(), postgresql_where=_AUDIT.request_id.is_not(None))

request_records = Table(
    "request_records",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("recorded_at", Timestamp, server_default=text("clock_timestamp()"), primary_key=True),
    required("received_at", Timestamp),
    required("request_id", Text),
    required("method", Text),
    required("route", Text),
    required("path", Text),
    required("status", Integer),
    required("milliseconds", Integer),
    Column("actor_id", Text),
    required("address", Text),
    required("headers", JSONB),
    Column("body", JSONB),
    required("body_bytes", Integer),
    required("caused", JSONB),
    required("dropped_before", Integer, server_default="0"),
)
_REQUESTS = request_records.c
Index("request_records_by_route", _REQUESTS.route, _REQUESTS.id.desc())
Index("request_records_by_request", _REQUESTS.request_id, _REQUESTS.id.desc())
Index(
    "request_records_by_actor",
    _REQUESTS.actor_id,
    _REQUESTS.id.desc(),
    postgresql_where=_REQUESTS.actor_id.is_not(None),
)

trail_positions = Table(
    "trail_positions",
    METADATA,
    Column("trail", Text, primary_key=True),
    required("sealed_through", BigInteger, server_default="0"),
    Column("waiting_through", BigInteger),
    Column("waiting_xid", BigInteger),
)

trail_seals = Table(
    "trail_seals",
    METADATA,
    Column("trail", Text, ForeignKey("trail_positions.trail"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    required("month", Date),
    required("through_id", BigInteger),
    required("records", Integer),
    required("record_ids", ARRAY(BigInteger)),
    required("record_hashes", LargeBinary),
    required("previous", LargeBinary),
    required("hash", LargeBinary),
    required("key", Text),
    required("signature", LargeBinary),
    required("sealed_at", Timestamp),
)


def hash_of_record(table: Table) -> str:
    """SHA-256 of a record in SQL: over the text of a JSON array of its columns, a time in whole microseconds.

    Built-in functions only: whoever may change the functions of a schema cannot change what is compared.
    """
    columns = (
        f"(extract(epoch FROM r.{column.name}) * 1000000)::bigint" if column.type is Timestamp else f"r.{column.name}"
        for column in table.columns
    )
    return f"pg_catalog.sha256(convert_to(jsonb_build_array({', '.join(columns)})::text, 'UTF8'))"


# Every trail by its name, which is that of its table.
TRAILS = {table.name: table for table in (audit_records, request_records)}
