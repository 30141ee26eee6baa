"""A key may be kept for the first attempt of a transfer, too: that of a rail, whose transfer is another's own."""

from alembic import op

from database.schema_changes import add_constraint

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_constraint("answers", "answers_any_attempt_check", "CHECK (attempt BETWEEN 1 AND 3)")
    op.execute("ALTER TABLE answers DROP CONSTRAINT IF EXISTS answers_attempt_check")
    op.execute("ALTER TABLE answers RENAME CONSTRAINT answers_any_attempt_check TO answers_attempt_check")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
