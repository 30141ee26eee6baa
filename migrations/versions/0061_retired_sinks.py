"""Staff may retire a sink that nobody runs any more."""

from alembic import op

revision = "0061"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whoever asks is on the record: `staff/sinks/postgres.py`.
    op.execute("GRANT DELETE ON sinks TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
