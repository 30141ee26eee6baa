"""API keys for integrators: kept as hashes, revoked and never removed."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

API_KEYS = """
CREATE TABLE api_keys (
    id           text PRIMARY KEY CHECK (id ~ '^key_[a-z2-7]{26}$'),
    customer_id  text NOT NULL REFERENCES customers (id),
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    key_hash     text NOT NULL CHECK (key_hash ~ '^[0-9a-f]{64}$'),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    revoked_at   timestamptz
)
"""

STATEMENTS = (
    API_KEYS,
    "CREATE INDEX api_keys_by_customer ON api_keys (customer_id, created_at DESC, id DESC)",
    # What a key may do never changes.
    "GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at) ON api_keys TO remit_app",
    "REVOKE SELECT ON api_keys FROM remit_operator",
    "GRANT SELECT (id, customer_id, name, scopes, created_at, last_used_at, revoked_at) ON api_keys TO remit_operator",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
