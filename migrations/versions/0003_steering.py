"""Reviews and attempts: what people decided, and how earlier attempts of a transfer ended."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# How an attempt ended before the next one began. The transfer's own row tells of the newest.
ATTEMPTS = """
CREATE TABLE attempts (
    transfer_id     text NOT NULL REFERENCES transfers (id),
    attempt         smallint NOT NULL CHECK (attempt BETWEEN 1 AND 2),
    state           text NOT NULL CHECK (state IN ('failed', 'compensated')),
    failure_code    text,
    failure_message text,
    workflow_id     text NOT NULL,
    ended_at        timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, attempt)
)
"""

# A reviewer is named as Temporal's Web UI or the admin API named them; the first word of each counts.
REVIEW_DECISIONS = """
CREATE TABLE review_decisions (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    decider     text NOT NULL CHECK (length(trim(decider)) > 0),
    ruling      text NOT NULL CHECK (ruling IN ('approve', 'reject')),
    reason      text NOT NULL CHECK (length(trim(reason)) > 0),
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt, decider)
)
"""

# What people asked of a transfer under way, by Temporal's Web UI or the admin API, written before it was acted on.
INSTRUCTIONS = """
CREATE TABLE instructions (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    action      text NOT NULL CHECK (action IN ('retry_now', 'give_back')),
    actor       text NOT NULL CHECK (length(trim(actor)) > 0),
    reason      text NOT NULL CHECK (length(trim(reason)) > 0),
    state       text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def upgrade() -> None:
    op.execute(ATTEMPTS)
    op.execute(REVIEW_DECISIONS)
    op.execute(INSTRUCTIONS)
    op.execute("CREATE INDEX instructions_by_transfer ON instructions (transfer_id)")
    for table in ("attempts", "review_decisions", "instructions"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
