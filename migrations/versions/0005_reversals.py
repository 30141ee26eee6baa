"""Reversals: transfers that bring another one back, and never more of it than it was."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LINK = (
    """
    ALTER TABLE transfers
        ADD COLUMN reverses_transfer_id text REFERENCES transfers (id),
        DROP CONSTRAINT transfers_kind_check,
        ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('transfer', 'deposit', 'withdrawal', 'reversal')),
        ADD CONSTRAINT transfers_reversal_check CHECK ((kind = 'reversal') = (reverses_transfer_id IS NOT NULL))
    """,
    """
    CREATE INDEX transfers_by_reversed ON transfers (reverses_transfer_id, created_at DESC, id DESC)
        WHERE reverses_transfer_id IS NOT NULL
    """,
)

# What a reversal reverses is part of what was asked for.
FIXED_ORDER = (
    "DROP TRIGGER fixed_order ON transfers",
    """
    CREATE TRIGGER fixed_order BEFORE UPDATE OF id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, note, transaction_id, created_at, reverses_transfer_id
        ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_another_order()
    """,
)

# The last defence, asked when a reversal begins an attempt, and at the end of its transaction: one that does not fit is
# written down and refused in the same one. The lock is the one that the book holds already.
WITHIN = (
    """
    CREATE FUNCTION refuse_more_than_was_transferred() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        original transfers;
    BEGIN
        SELECT * INTO original FROM transfers WHERE id = NEW.reverses_transfer_id FOR NO KEY UPDATE;
        IF (original.kind, original.state, original.source_account_id, original.destination_account_id,
                original.currency) IS DISTINCT FROM
            ('transfer', 'completed', NEW.destination_account_id, NEW.source_account_id, NEW.currency) THEN
            RAISE EXCEPTION 'transfer % cannot be reversed by %', NEW.reverses_transfer_id, NEW.id
                USING ERRCODE = 'check_violation';
        END IF;
        IF original.amount_minor < (
            SELECT sum(amount_minor) FROM transfers
            WHERE reverses_transfer_id = original.id AND state NOT IN ('failed', 'cancelled', 'compensated')
        ) THEN
            RAISE EXCEPTION 'reversals of transfer % are more than it was', original.id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER within_transfer AFTER INSERT OR UPDATE OF state, attempt ON transfers
        DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.reverses_transfer_id IS NOT NULL AND NEW.state = 'initiated')
        EXECUTE FUNCTION refuse_more_than_was_transferred()
    """,
)


def upgrade() -> None:
    for statement in (*LINK, *FIXED_ORDER, *WITHIN):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
