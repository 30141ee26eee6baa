"""Keys that were answered with a transfer of another key, because they repeated its transaction_id."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Such a key has no transfer of its own, and still names its request for ever.
REPEATED_KEYS = """
CREATE TABLE repeated_keys (
    owner_id        text NOT NULL REFERENCES customers (id),
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    fingerprint     text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    transfer_id     text NOT NULL REFERENCES transfers (id),
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner_id, idempotency_key)
)
"""


def upgrade() -> None:
    op.execute(REPEATED_KEYS)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON repeated_keys "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("GRANT SELECT, INSERT ON repeated_keys TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
