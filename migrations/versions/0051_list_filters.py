"""Lists of refunds and of disputes in one state have their indexes. An entry of a plain transfer pays for none."""

from database.schema_changes import create_index

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

INDEXES = {
    "entries_refunds": "entries (account_id, version DESC) WHERE leg = 'refund'",
    "disputes_by_state": "disputes (state, created_at DESC, id DESC)",
}


def upgrade() -> None:
    for name, on in INDEXES.items():
        create_index(name, on)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
