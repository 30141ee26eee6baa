"""Failed sign-ins, counted by all processes together, and the trail of authentication."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# The address that somebody typed is kept as its hash: mostly it is nobody's here. `''` counts all accounts together.
FAILURES = """
CREATE TABLE sign_in_failures (
    network   text NOT NULL CHECK (length(network) <= 300),
    account   text NOT NULL CHECK (account ~ '^([0-9a-f]{64})?$'),
    failures  integer NOT NULL CHECK (failures > 0),
    since     timestamptz NOT NULL,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (network, account)
)
"""

EVENTS = """
CREATE TABLE auth_events (
    id          text PRIMARY KEY CHECK (id ~ '^aev_[a-z2-7]{26}$'),
    kind        text NOT NULL CHECK (kind ~ '^[a-z]+(_[a-z]+)*$'),
    customer_id text REFERENCES customers (id),
    actor_id    text REFERENCES customers (id),
    account     text CHECK (account ~ '^[0-9a-f]{64}$'),
    client      text NOT NULL CHECK (length(client) <= 300),
    network     text NOT NULL CHECK (length(network) <= 300),
    facts       jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

INDEXES = (
    "CREATE INDEX sign_in_failures_by_time ON sign_in_failures (failed_at)",
    "CREATE INDEX auth_events_by_time ON auth_events (recorded_at DESC, id DESC)",
    "CREATE INDEX auth_events_by_customer ON auth_events (customer_id, recorded_at DESC, id DESC)",
    "CREATE INDEX auth_events_by_actor ON auth_events (actor_id, recorded_at DESC, id DESC)",
    "CREATE INDEX auth_events_by_account ON auth_events (account, network, recorded_at DESC)",
)

# The owner may remove old events, because they hold addresses of people. Nobody edits one.
RIGHTS = (
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON auth_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    "GRANT SELECT, INSERT ON auth_events TO remit_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_failures TO remit_app",
)


def upgrade() -> None:
    for statement in (FAILURES, EVENTS, *INDEXES, *RIGHTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
