"""The tables of staff's actions and of their outcomes."""

from sqlalchemy import Column, ForeignKey, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from database.metadata import METADATA, Timestamp, required

staff_actions = Table(
    "staff_actions",
    METADATA,
    Column("id", Text, primary_key=True),
    required("actor_id", Text, ForeignKey("customers.id")),
    required("actor_role", Text),
    required("action", Text),
    required("channel", Text),
    required("subject", Text),
    required("reason", Text),
    Column("request", Text),
    Column("asked", JSONB),
    Column("before", JSONB),
    Column("after", JSONB),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)
_NEWEST_FIRST = (staff_actions.c.recorded_at.desc(), staff_actions.c.id.desc())
Index("staff_actions_by_time", *_NEWEST_FIRST)
Index("staff_actions_by_subject", staff_actions.c.subject, *_NEWEST_FIRST)
Index("staff_actions_by_actor", staff_actions.c.actor_id, *_NEWEST_FIRST)
Index("staff_actions_role_requests", *_NEWEST_FIRST, postgresql_where=staff_actions.c.action == text("'request_role'"))
Index(
    "staff_actions_by_request",
    staff_actions.c.actor_id,
    staff_actions.c.request,
    staff_actions.c.recorded_at.desc(),
    postgresql_where=staff_actions.c.request.is_not(None),
)

staff_action_outcomes = Table(
    "staff_action_outcomes",
    METADATA,
    Column("action_id", Text, ForeignKey("staff_actions.id"), primary_key=True),
    required("outcome", Text),
    Column("code", Text),
    required("answer", Text),
    Column("after", JSONB),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)
