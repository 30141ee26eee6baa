"""Every used key has its row in `keys`, so that of two requests at once one gets it, whatever each asks for."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No transfer: the key was used for a request that moves no money, and has its answer in `answers`.
    op.execute("ALTER TABLE keys ALTER COLUMN transfer_id DROP NOT NULL")
    op.execute(
        "INSERT INTO keys (owner_id, idempotency_key) SELECT owner_id, idempotency_key FROM answers "
        "ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
