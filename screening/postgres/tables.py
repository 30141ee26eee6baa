"""The tables of screening: the rule sets that were ever in use, verdicts, and the cases that flags open."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from database.metadata import METADATA, Timestamp, required

rule_sets = Table(
    "rule_sets",
    METADATA,
    Column("id", Text, primary_key=True),
    required("rules", JSONB),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)

verdicts = Table(
    "verdicts",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    required("answer", Text),
    required("rule_set_id", Text, ForeignKey("rule_sets.id")),
    required("findings", JSONB),
    required("facts", JSONB),
    required("screened_at", Timestamp, server_default=text("clock_timestamp()")),
)
Index("verdicts_by_time", verdicts.c.screened_at, postgresql_using="brin")

cases = Table(
    "cases",
    METADATA,
    Column("id", Text, primary_key=True),
    required("account_id", Text, ForeignKey("accounts.id")),
    required("opened_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("closed_at", Timestamp),
    Column("closed_by", Text, ForeignKey("customers.id")),
    Column("closing_reason", Text),
)
IS_OPEN = cases.c.closed_at.is_(None)
_LISTED = (cases.c.opened_at.desc(), cases.c.id.desc())
Index("cases_by_time", *_LISTED)
Index("cases_by_account", cases.c.account_id, *_LISTED)
Index("cases_open_by_time", *_LISTED, postgresql_where=IS_OPEN)
# One open case for each account: what is flagged meanwhile joins it.
Index("cases_open_by_account", cases.c.account_id, unique=True, postgresql_where=IS_OPEN)

case_flags = Table(
    "case_flags",
    METADATA,
    Column("case_id", Text, ForeignKey("cases.id"), primary_key=True),
    Column("transfer_id", Text, primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    Column("code", Text, primary_key=True),
    required("reason", Text),
    required("flagged_at", Timestamp, server_default=text("clock_timestamp()")),
    ForeignKeyConstraint(["transfer_id", "attempt"], ["verdicts.transfer_id", "verdicts.attempt"]),
)
Index("case_flags_by_transfer", case_flags.c.transfer_id)

list_members = Table(
    "list_members",
    METADATA,
    Column("list", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    required("added_by", Text, ForeignKey("customers.id")),
    required("reason", Text),
    required("added_at", Timestamp, server_default=text("clock_timestamp()")),
)
Index("list_members_by_time", list_members.c.list, list_members.c.added_at.desc(), list_members.c.member_id.desc())
Index("list_members_by_member", list_members.c.member_id)

rule_set_changes = Table(
    "rule_set_changes",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("rule_set_id", Text, ForeignKey("rule_sets.id")),
    required("action_id", Text, ForeignKey("staff_actions.id"), unique=True),
    required("changed_at", Timestamp, server_default=text("clock_timestamp()")),
)

screening_head = Table(
    "screening_head",
    METADATA,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    required("changes", BigInteger),
)
