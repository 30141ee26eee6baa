"""Reviews keep the moment they began and their terms, so that no reset or restart gives one its deadline again."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

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

# That its reviewers were reminded: once, whatever is run again.
REMINDERS = """
CREATE TABLE review_reminders (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    reminded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt)
)
"""


def upgrade() -> None:
    op.execute(REVIEWS)
    op.execute(REMINDERS)
    for table in ("reviews", "review_reminders"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
