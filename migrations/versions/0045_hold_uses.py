"""A hold knows which reversal has used how much of it: the refund of one holds again what its own debit used."""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

USED_BY = (
    "ALTER TABLE holds ADD COLUMN used_by jsonb NOT NULL DEFAULT '{}'",
    "GRANT UPDATE (used_by) ON holds TO remit_app",
)


def upgrade() -> None:
    for statement in USED_BY:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
