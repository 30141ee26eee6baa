"""Counts of requests that all processes of the API share."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Not logged: a crash may empty it, and counting it costs no wait for the disk.
WINDOWS = """
CREATE UNLOGGED TABLE rate_windows (
    policy   text NOT NULL CHECK (length(policy) <= 40),
    subject  text NOT NULL CHECK (length(subject) <= 300),
    began_at timestamptz NOT NULL,
    hits     integer NOT NULL CHECK (hits > 0),
    PRIMARY KEY (policy, subject, began_at)
)
"""


def upgrade() -> None:
    op.execute(WINDOWS)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON rate_windows TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
