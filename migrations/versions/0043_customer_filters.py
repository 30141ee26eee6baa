"""Customers are found by role, verification and state, and by the status of their accounts."""

from database.schema_changes import create_index

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

INDEXES = {
    "customers_of_staff": "customers (email text_pattern_ops) WHERE role <> 'customer'",
    "customers_disabled": "customers (email text_pattern_ops) WHERE disabled_at IS NOT NULL",
    "customers_unverified": "customers (email text_pattern_ops) WHERE verification <> 'verified'",
    "accounts_not_active": "accounts (status, owner_id) WHERE status <> 'active'",
}


def upgrade() -> None:
    for name, on in INDEXES.items():
        create_index(name, on)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
