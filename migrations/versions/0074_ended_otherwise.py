"""Indexes for staff who look for an amount, a payer or a currency among what did not complete."""

from database.schema_changes import create_index

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None

_ENDED_OTHERWISE = "WHERE state IN ('compensated', 'failed', 'cancelled')"


def upgrade() -> None:
    for by, column in {"amount": "amount_minor", "owner": "owner_id", "currency": "currency"}.items():
        listed = f"({column}, created_at DESC, id DESC)"
        create_index(f"transfers_ended_otherwise_by_{by}", f"transfers {listed} {_ENDED_OTHERWISE}")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
