"""Orders have keyed fingerprints, and only a transfer that succeeds or is under way holds its transaction_id."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A key of fingerprints is in no database, so a migration cannot sign the orders that are in the books.
NEEDS_NO_TRANSFERS = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM transfers) THEN
            RAISE EXCEPTION 'Migration 0011 needs books without transfers: the orders of earlier ones have no keyed '
                'fingerprint, and no migration can make one.'
                USING HINT = 'Keep these books with the release that wrote them, and start this one with an empty '
                    'database.';
        END IF;
    END $$
"""

# `{key}.{digest}`, as in ledger/fingerprints.py. A repeat is compared with the order itself, so a key needs none.
FINGERPRINTS = (
    "ALTER TABLE transfers DROP CONSTRAINT transfers_fingerprint_check",
    """
    ALTER TABLE transfers ADD CONSTRAINT transfers_fingerprint_check
        CHECK (fingerprint ~ '^[0-9a-f]{8}[.][0-9a-f]{64}$') NOT VALID
    """,
    "ALTER TABLE transfers VALIDATE CONSTRAINT transfers_fingerprint_check",
    "ALTER TABLE keys DROP COLUMN fingerprint",
)

# Of a reversal: its request named no amount, so a repeat is compared without it. Part of the order, and fixed like it.
ALL_THAT_IS_LEFT = (
    "ALTER TABLE transfers ADD COLUMN all_that_is_left boolean NOT NULL DEFAULT false",
    """
    CREATE OR REPLACE TRIGGER fixed_order BEFORE UPDATE OF id, owner_id, idempotency_key, fingerprint, kind,
            source_account_id, destination_account_id, amount_minor, currency, note, transaction_id, created_at,
            reverses_transfer_id, metadata, all_that_is_left
        ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_another_order()
    """,
)

TRANSACTION_IDS = (
    "DROP INDEX transfers_transaction_id",
    """
    CREATE UNIQUE INDEX transfers_transaction_id ON transfers
        ((CASE kind WHEN 'deposit' THEN destination_account_id ELSE source_account_id END), transaction_id)
        WHERE transaction_id IS NOT NULL AND state NOT IN ('failed', 'cancelled', 'compensated')
    """,
)


def upgrade() -> None:
    for statement in (NEEDS_NO_TRANSFERS, *FINGERPRINTS, *ALL_THAT_IS_LEFT, *TRANSACTION_IDS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
