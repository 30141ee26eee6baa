"""Staff's actions: what they did or requested, and how it ended."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# `request` identifies a repeat of the same request. An action that is done in the transaction of its record has none.
ACTIONS = """
CREATE TABLE staff_actions (
    id          text PRIMARY KEY CHECK (id ~ '^act_[a-z2-7]{26}$'),
    actor_id    text NOT NULL REFERENCES customers (id),
    actor_role  text NOT NULL CHECK (actor_role IN ('customer', 'operator', 'admin')),
    action      text NOT NULL CHECK (action ~ '^[a-z]+(_[a-z]+)*$'),
    channel     text NOT NULL CHECK (channel IN ('api', 'temporal')),
    subject     text NOT NULL CHECK (subject <> ''),
    reason      text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    request     text CHECK (length(request) BETWEEN 1 AND 2000),
    asked       jsonb,
    before      jsonb,
    after       jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

ACTION_INDEXES = (
    "CREATE INDEX staff_actions_by_time ON staff_actions (recorded_at DESC, id DESC)",
    "CREATE INDEX staff_actions_by_subject ON staff_actions (subject, recorded_at DESC, id DESC)",
    "CREATE INDEX staff_actions_by_actor ON staff_actions (actor_id, recorded_at DESC, id DESC)",
    """
    CREATE INDEX staff_actions_by_request ON staff_actions (actor_id, request, recorded_at DESC)
        WHERE request IS NOT NULL
    """,
)

# One outcome for each request. No row: the outcome is unknown.
OUTCOMES = """
CREATE TABLE staff_action_outcomes (
    action_id   text PRIMARY KEY REFERENCES staff_actions (id),
    outcome     text NOT NULL CHECK (outcome IN ('taken', 'refused')),
    code        text,
    answer      text NOT NULL,
    after       jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((outcome = 'refused') = (code IS NOT NULL))
)
"""


def upgrade() -> None:
    for statement in (ACTIONS, *ACTION_INDEXES, OUTCOMES):
        op.execute(statement)
    for table in ("staff_actions", "staff_action_outcomes"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
