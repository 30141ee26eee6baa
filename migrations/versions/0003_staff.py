"""Staff's actions: what they requested, how it ended, and the instructions that a transfer's workflow recorded."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# `request` identifies a repeat of the same request. An action that is done in the transaction of its record has none.
ACTIONS = """
CREATE TABLE operator_actions (
    id          text PRIMARY KEY CHECK (id ~ '^act_[a-z2-7]{26}$'),
    actor_id    text NOT NULL REFERENCES customers (id),
    actor_role  text NOT NULL CHECK (actor_role IN ('customer', 'operator', 'admin')),
    action      text NOT NULL CHECK (action ~ '^[a-z]+(_[a-z]+)*$'),
    subject     text NOT NULL CHECK (subject <> ''),
    reason      text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    request     text CHECK (length(request) BETWEEN 1 AND 400),
    asked       jsonb,
    before      jsonb,
    after       jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

ACTION_INDEXES = (
    "CREATE INDEX operator_actions_by_time ON operator_actions (recorded_at DESC, id DESC)",
    "CREATE INDEX operator_actions_by_subject ON operator_actions (subject, recorded_at DESC, id DESC)",
    "CREATE INDEX operator_actions_by_actor ON operator_actions (actor_id, recorded_at DESC, id DESC)",
    """
    CREATE INDEX operator_actions_by_request ON operator_actions (actor_id, request, recorded_at DESC)
        WHERE request IS NOT NULL
    """,
)

# One outcome for each action. No row: the outcome is unknown, and what the workflow recorded tells whether it acted.
OUTCOMES = """
CREATE TABLE action_outcomes (
    action_id   text PRIMARY KEY REFERENCES operator_actions (id),
    outcome     text NOT NULL CHECK (outcome IN ('taken', 'refused')),
    code        text,
    answer      text NOT NULL,
    after       jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((outcome = 'refused') = (code IS NOT NULL))
)
"""

# What people request of a running transfer, in Temporal's Web UI or the admin API, written before it is done.
# `request` is the id of the update in Temporal: the same when a step is repeated or a workflow is reset. `action_id`
# names the action that requested it; none: somebody typed it in Temporal.
INSTRUCTIONS = """
CREATE TABLE instructions (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    action      text NOT NULL CHECK (action IN ('retry_now', 'give_back')),
    actor       text NOT NULL CHECK (length(trim(actor)) > 0),
    reason      text NOT NULL CHECK (length(trim(reason)) > 0),
    state       text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    request     text CHECK (request <> ''),
    action_id   text REFERENCES operator_actions (id)
)
"""

INSTRUCTION_INDEXES = (
    "CREATE INDEX instructions_by_transfer ON instructions (transfer_id)",
    "CREATE UNIQUE INDEX instructions_once ON instructions (transfer_id, attempt, action, request)",
    "CREATE INDEX instructions_by_action ON instructions (action_id) WHERE action_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in (ACTIONS, *ACTION_INDEXES, OUTCOMES, INSTRUCTIONS, *INSTRUCTION_INDEXES):
        op.execute(statement)
    for table in ("operator_actions", "action_outcomes", "instructions"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
