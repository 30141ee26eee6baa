"""Indexes of the lists: each filter has one in the list's order, and periods of postings and keys are found by time."""

from database.schema_changes import create_index

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LISTED = "created_at DESC, id DESC"
_COMPLETED = "WHERE state = 'completed'"
_ENDED_OTHERWISE = "WHERE state IN ('compensated', 'failed', 'cancelled')"

# Of a transfer that completes, three of these are written, once. Rare endings and kinds have their own.
INDEXES = {
    "transfers_completed_by_owner": f"transfers (owner_id, {_LISTED}) {_COMPLETED}",
    "transfers_completed_by_currency": f"transfers (currency, {_LISTED}) {_COMPLETED}",
    "transfers_completed_by_amount": f"transfers (amount_minor, {_LISTED}) {_COMPLETED}",
    "transfers_by_rare_kind": f"transfers (kind, {_LISTED}) WHERE kind <> 'transfer'",
    "transfers_ended_otherwise_by_time": f"transfers ({_LISTED}) {_ENDED_OTHERWISE}",
    "transfers_ended_otherwise": f"transfers (state, {_LISTED}) {_ENDED_OTHERWISE}",
    "transfers_ended_otherwise_by_source": f"transfers (source_account_id, {_LISTED}) {_ENDED_OTHERWISE}",
    "transfers_ended_otherwise_by_destination": f"transfers (destination_account_id, {_LISTED}) {_ENDED_OTHERWISE}",
    "accounts_by_time": "accounts (created_at)",
    "postings_by_time": "postings USING brin (recorded_at) WITH (pages_per_range = 32, autosummarize = on)",
    "keys_by_time": "keys USING brin (recorded_at) WITH (pages_per_range = 32, autosummarize = on)",
}


def upgrade() -> None:
    for name, on in INDEXES.items():
        create_index(name, on)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
