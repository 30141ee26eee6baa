"""Why a batch is held: the screening rules that asked for a review of an item, for staff."""

from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE batch_items ADD COLUMN IF NOT EXISTS review_rules text[]")
    op.execute("GRANT UPDATE (review_rules) ON batch_items TO remit_worker")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
