"""The tables of staff's actions and of the instructions that workflows recorded."""

from sqlalchemy import Column, ForeignKey, Index, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from database.metadata import METADATA, Timestamp, required

operator_actions = Table(
    "operator_actions",
    METADATA,
    Column("id", Text, primary_key=True),
    required("actor_id", Text, ForeignKey("customers.id")),
    required("actor_role", Text),
    required("action", Text),
    required("subject", Text),
    required("reason", Text),
    Column("request", Text),
    Column("asked", JSONB),
    Column("before", JSONB),
    Column("after", JSONB),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)
_NEWEST_FIRST = (operator_actions.c.recorded_at.desc(), operator_actions.c.id.desc())
Index("operator_actions_by_time", *_NEWEST_FIRST)
Index("operator_actions_by_subject", operator_actions.c.subject, *_NEWEST_FIRST)
Index("operator_actions_by_actor", operator_actions.c.actor_id, *_NEWEST_FIRST)
Index(
    "operator_actions_by_request",
    operator_actions.c.actor_id,
    operator_actions.c.request,
    operator_actions.c.recorded_at.desc(),
    postgresql_where=operator_actions.c.request.is_not(None),
)

action_outcomes = Table(
    "action_outcomes",
    METADATA,
    Column("action_id", Text, ForeignKey("operator_actions.id"), primary_key=True),
    required("outcome", Text),
    Column("code", Text),
    required("answer", Text),
    Column("after", JSONB),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)

instructions = Table(
    "instructions",
    METADATA,
    required("transfer_id", Text, ForeignKey("transfers.id")),
    required("attempt", SmallInteger),
    required("action", Text),
    required("actor", Text),
    required("reason", Text),
    required("state", Text),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("request", Text),
    Column("action_id", Text, ForeignKey("operator_actions.id")),
)
Index("instructions_by_transfer", instructions.c.transfer_id)
Index(
    "instructions_once",
    instructions.c.transfer_id,
    instructions.c.attempt,
    instructions.c.action,
    instructions.c.request,
    unique=True,
)
Index("instructions_by_action", instructions.c.action_id, postgresql_where=instructions.c.action_id.is_not(None))
