"""What a reversal's debit has used of a hold stays on record, so that the reversal's refund holds it again."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A hold that is all used is a row still, until its dispute ends.
USED = (
    "ALTER TABLE holds ADD COLUMN used_minor bigint NOT NULL DEFAULT 0",
    "ALTER TABLE holds DROP CONSTRAINT holds_amount_minor_check",
    """
    ALTER TABLE holds ADD CONSTRAINT holds_amounts_check
        CHECK (amount_minor >= 0 AND used_minor >= 0 AND amount_minor + used_minor BETWEEN 1 AND 9007199254740991)
    """,
    "GRANT UPDATE (used_minor) ON holds TO remit_app",
)


def upgrade() -> None:
    for statement in USED:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
