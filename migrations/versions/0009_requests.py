"""Decisions and instructions know which request made them, so that a repeat is told from a second word."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The id of the update in Temporal: the same when a step is repeated or a workflow is reset.
    op.execute("ALTER TABLE review_decisions ADD COLUMN request text CHECK (request <> '')")
    op.execute("ALTER TABLE instructions ADD COLUMN request text CHECK (request <> '')")
    op.execute("CREATE UNIQUE INDEX instructions_once ON instructions (transfer_id, attempt, action, request)")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
