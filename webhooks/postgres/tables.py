"""The tables of webhook endpoints, of what is delivered to them, and of the attempts."""

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, ForeignKey, Index, Integer, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from database.metadata import METADATA, Timestamp, required

_NOW = text("clock_timestamp()")

webhook_endpoints = Table(
    "webhook_endpoints",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("customers.id")),
    required("url", Text),
    required("types", ARRAY(Text)),
    required("secrets", Text),
    Column("former_until", Timestamp),
    required("state", Text, server_default="enabled"),
    Column("disabled_by", Text),
    required("failures", Integer, server_default="0"),
    Column("failing_since", Timestamp),
    Column("warned_at", Timestamp),
    Column("resting_until", Timestamp),
    Column("idle_until", Timestamp, server_default=text("'infinity'")),
    Column("replay_after", BigInteger),
    Column("replay_through", BigInteger),
    Column("replay_since", Timestamp),
    required("created_at", Timestamp, server_default=_NOW),
    Column("deleted_at", Timestamp),
)
_ENDPOINTS = webhook_endpoints.c
Index("webhook_endpoints_by_owner", _ENDPOINTS.owner_id, _ENDPOINTS.created_at.desc(), _ENDPOINTS.id.desc())
Index("webhook_endpoints_present", _ENDPOINTS.id, postgresql_where=_ENDPOINTS.deleted_at.is_(None))

deliveries = Table(
    "deliveries",
    METADATA,
    Column("endpoint_id", Text, ForeignKey("webhook_endpoints.id"), primary_key=True),
    Column("event_id", Text, primary_key=True),
    required("type", Text),
    required("partition_key", Text),
    required("position", BigInteger),
    required("state", Text, server_default="pending"),
    required("attempts", Integer, server_default="0"),
    required("failures", Integer, server_default="0"),
    Column("body", JSONB),
    required("created_at", Timestamp, server_default=_NOW),
    Column("ended_at", Timestamp),
)
_DELIVERIES = deliveries.c
Index(
    "deliveries_pending",
    *(_DELIVERIES.endpoint_id, _DELIVERIES.partition_key, _DELIVERIES.position),
    postgresql_where=_DELIVERIES.state == text("'pending'"),
)
Index("deliveries_by_time", _DELIVERIES.endpoint_id, _DELIVERIES.created_at.desc(), _DELIVERIES.event_id.desc())
Index("deliveries_ended", _DELIVERIES.ended_at, postgresql_where=_DELIVERIES.ended_at.is_not(None))

delivery_queues = Table(
    "delivery_queues",
    METADATA,
    Column("endpoint_id", Text, ForeignKey("webhook_endpoints.id"), primary_key=True),
    Column("partition_key", Text, primary_key=True),
    required("next_attempt_at", Timestamp, server_default=_NOW),
    required("unanswered", Boolean, server_default="false"),
)
Index("delivery_queues_due", delivery_queues.c.endpoint_id, delivery_queues.c.next_attempt_at)

delivery_attempts = Table(
    "delivery_attempts",
    METADATA,
    Column("endpoint_id", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("attempted_at", Timestamp, primary_key=True, server_default=_NOW),
    Column("number", Integer, primary_key=True),
    required("milliseconds", Integer),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("response", Text),
)
