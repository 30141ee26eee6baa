"""The tables of requests for a higher tier."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    SmallInteger,
    Table,
    Text,
    text,
)

from database.metadata import METADATA, Timestamp, required

tier_requests = Table(
    "tier_requests",
    METADATA,
    Column("id", Text, primary_key=True),
    required("account_id", Text, ForeignKey("accounts.id")),
    required("customer_id", Text, ForeignKey("customers.id")),
    required("tier", SmallInteger),
    required("document_type", Text),
    required("number_encrypted", Text),
    required("last_characters", Text),
    required("state", Text, server_default="open"),
    required("approvals", SmallInteger),
    required("deadline", Timestamp),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("closed_at", Timestamp),
    Column("closed_reason", Text),
)
IS_OPEN = tier_requests.c.state == text("'open'")
_NEWEST_FIRST = (tier_requests.c.created_at.desc(), tier_requests.c.id.desc())
Index("tier_requests_one_open", tier_requests.c.account_id, unique=True, postgresql_where=IS_OPEN)
Index("tier_requests_by_account", tier_requests.c.account_id, *_NEWEST_FIRST)
Index("tier_requests_by_time", *_NEWEST_FIRST)
Index("tier_requests_by_state", tier_requests.c.state, *_NEWEST_FIRST)

tier_request_decisions = Table(
    "tier_request_decisions",
    METADATA,
    Column("request_id", Text, ForeignKey("tier_requests.id"), primary_key=True),
    Column("decider", Text, ForeignKey("customers.id"), primary_key=True),
    required("ruling", Text),
    required("reason", Text),
    required("decided_at", Timestamp, server_default=text("clock_timestamp()")),
    required("action_id", Text, ForeignKey("staff_actions.id"), unique=True),
)
