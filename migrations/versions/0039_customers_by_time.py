"""Customers are counted by the time when they registered."""

from database.schema_changes import create_index

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("customers_by_time", "customers (created_at)")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
