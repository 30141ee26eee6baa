"""Notifications: one message for each occasion, attempt and account."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# `ended` is the occasion of a message about how an attempt ended; disputes have occasions of their own.
MESSAGES = """
CREATE TABLE messages (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL,
    account_id  text NOT NULL REFERENCES accounts (id),
    occasion    text NOT NULL DEFAULT 'ended',
    customer_id text NOT NULL REFERENCES customers (id),
    body        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt, account_id, occasion)
)
"""


def upgrade() -> None:
    op.execute(MESSAGES)
    op.execute("GRANT SELECT, INSERT ON messages TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
