"""Sessions, which end in every process at once, and customers whom staff have disabled."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# No token is in it: a refresh token is signed, and names its session and the number of the refresh.
SESSIONS = """
CREATE TABLE sessions (
    id            text PRIMARY KEY CHECK (id ~ '^ses_[a-z2-7]{26}$'),
    customer_id   text NOT NULL REFERENCES customers (id),
    generation    integer NOT NULL,
    refreshes     integer NOT NULL DEFAULT 0 CHECK (refreshes >= 0),
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    refreshed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    client        text NOT NULL CHECK (length(client) <= 300),
    user_agent    text CHECK (length(user_agent) <= 200),
    second_factor boolean NOT NULL DEFAULT false
)
"""

STATEMENTS = (
    SESSIONS,
    "CREATE INDEX sessions_by_customer ON sessions (customer_id, started_at DESC, id DESC)",
    # The owner of a session never changes, and an end is not taken back.
    "GRANT SELECT, INSERT, DELETE ON sessions TO remit_app",
    "GRANT UPDATE (generation, refreshes, refreshed_at, ended_at, second_factor) ON sessions TO remit_app",
    "ALTER TABLE customers ADD COLUMN disabled_at timestamptz",
    "GRANT UPDATE (disabled_at) ON customers TO remit_app",
    "GRANT SELECT (disabled_at) ON customers TO remit_operator",
    # A session's end replaces the list of revoked tokens.
    "DROP TABLE revoked_tokens",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
