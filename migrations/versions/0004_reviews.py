"""Reviews: when each began and on which terms, what reviewers decided, and that they were reminded."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The start and the terms are rows, so that no reset or restart of a workflow gives a review a new deadline.
REVIEWS = """
CREATE TABLE reviews (
    transfer_id          text NOT NULL REFERENCES transfers (id),
    attempt              smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    began_at             timestamptz NOT NULL,
    deadline_seconds     integer NOT NULL CHECK (deadline_seconds > 0),
    remind_after_seconds integer NOT NULL CHECK (remind_after_seconds > 0),
    approvals            smallint NOT NULL CHECK (approvals BETWEEN 1 AND 2),
    PRIMARY KEY (transfer_id, attempt)
)
"""

# A reviewer's first decision is final. Each has its record in `staff_actions`, written in the same transaction.
DECISIONS = """
CREATE TABLE review_decisions (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    decider     text NOT NULL REFERENCES customers (id),
    ruling      text NOT NULL CHECK (ruling IN ('approve', 'reject')),
    reason      text NOT NULL CHECK (length(trim(reason)) > 0),
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    action_id   text NOT NULL UNIQUE REFERENCES staff_actions (id),
    PRIMARY KEY (transfer_id, attempt, decider)
)
"""

# Reviewers are reminded once, however often the step runs.
REMINDERS = """
CREATE TABLE review_reminders (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    reminded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt)
)
"""


def upgrade() -> None:
    for statement in (REVIEWS, DECISIONS, REMINDERS):
        op.execute(statement)
    for table in ("reviews", "review_decisions", "review_reminders"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
