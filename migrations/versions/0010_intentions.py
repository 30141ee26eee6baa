"""What staff ask of a transfer is written down before it is sent, and what came of it afterwards."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# `request` names what an intention was recorded for; what is done in the transaction of its record has none.
INTENTIONS = (
    """
    ALTER TABLE operator_actions
        ADD COLUMN request text CHECK (length(request) BETWEEN 1 AND 400),
        ADD COLUMN asked jsonb
    """,
    """
    CREATE INDEX operator_actions_by_request ON operator_actions (actor_id, request, recorded_at DESC)
        WHERE request IS NOT NULL
    """,
)

# One outcome an intention. None: nobody knows yet, and what the workflow wrote down says whether it took it.
OUTCOMES = (
    """
    CREATE TABLE action_outcomes (
        action_id   text PRIMARY KEY REFERENCES operator_actions (id),
        outcome     text NOT NULL CHECK (outcome IN ('taken', 'refused')),
        code        text,
        answer      text NOT NULL,
        after       jsonb,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CHECK ((outcome = 'refused') = (code IS NOT NULL))
    )
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON action_outcomes
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    "GRANT SELECT, INSERT ON action_outcomes TO remit_app",
)

# What the workflow wrote down names the intention that asked for it; none: it was typed in Temporal.
LINKS = (
    "ALTER TABLE review_decisions ADD COLUMN action_id text REFERENCES operator_actions (id)",
    "ALTER TABLE instructions ADD COLUMN action_id text REFERENCES operator_actions (id)",
    "CREATE INDEX review_decisions_by_action ON review_decisions (action_id) WHERE action_id IS NOT NULL",
    "CREATE INDEX instructions_by_action ON instructions (action_id) WHERE action_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in (*INTENTIONS, *OUTCOMES, *LINKS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
