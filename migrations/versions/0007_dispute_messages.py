"""Messages about more than how an attempt ended: each party of a dispute is told once of each occasion.

The primary key is built anew. Until that is done nobody is told anything: the notification waits and comes again.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# `ended` is what every message was about before, and what those are about that name no occasion.
OCCASION = """
ALTER TABLE messages
    ADD COLUMN occasion text NOT NULL DEFAULT 'ended',
    DROP CONSTRAINT messages_pkey,
    ADD PRIMARY KEY (transfer_id, attempt, account_id, occasion)
"""


def upgrade() -> None:
    op.execute(OCCASION)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
