"""The metadata of transfers: a small map of strings, part of the order. And an index to find references."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Without a default, so that no row is rewritten. Checked in a second step, which does not block writers.
METADATA = (
    "ALTER TABLE transfers ADD COLUMN metadata jsonb",
    """
    ALTER TABLE transfers ADD CONSTRAINT transfers_metadata_check
        CHECK (jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 65536) NOT VALID
    """,
    "ALTER TABLE transfers VALIDATE CONSTRAINT transfers_metadata_check",
)

# As in 0002, and now the metadata too: an accepted order never changes.
FIXED_ORDER = """
CREATE OR REPLACE TRIGGER fixed_order BEFORE UPDATE OF id, owner_id, idempotency_key, fingerprint, kind,
        source_account_id, destination_account_id, amount_minor, currency, note, transaction_id, created_at,
        reverses_transfer_id, metadata
    ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_another_order()
"""

# For the filter of lists. Plain transfers have no transaction_id, so they do not pay for it.
BY_TRANSACTION_ID = """
CREATE INDEX transfers_by_transaction_id ON transfers (transaction_id, created_at DESC, id DESC)
    WHERE transaction_id IS NOT NULL
"""


def upgrade() -> None:
    for statement in (*METADATA, FIXED_ORDER, BY_TRANSACTION_ID):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
