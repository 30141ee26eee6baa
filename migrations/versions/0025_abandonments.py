"""The record of each attempt of a transfer that recovery ended."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ABANDONMENTS = """
CREATE TABLE abandonments (
    transfer_id  text NOT NULL REFERENCES transfers (id),
    attempt      smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    workflow_id  text NOT NULL,
    run_id       text NOT NULL,
    reason       text NOT NULL,
    state_before text NOT NULL CHECK (state_before IN ('initiated', 'in_review')),
    state_after  text NOT NULL CHECK (state_after = 'failed'),
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt)
)
"""


def upgrade() -> None:
    op.execute(ABANDONMENTS)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON abandonments "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("GRANT SELECT, INSERT ON abandonments TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
