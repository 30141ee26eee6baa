"""What ended since the last audit is found by an index: batches, dates of standing orders, statements."""

from database.schema_changes import create_index

revision = "0069"
down_revision = "0065"
branch_labels = None
depends_on = None

# None of these is written while something is under way: each row enters its index once.
INDEXES = {
    "batches_ended": "batches (ended_at) WHERE ended_at IS NOT NULL",
    "standing_order_occurrences_ended": (
        "standing_order_occurrences (updated_at) WHERE state IN ('paid', 'missed', 'failed', 'skipped')"
    ),
    "account_statements_by_time": "account_statements (made_at)",
}


def upgrade() -> None:
    for name, on in INDEXES.items():
        create_index(name, on)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
