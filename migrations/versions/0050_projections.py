"""Projections of the events: the figures of accounts, and when transfers reached their states."""

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

# When the attempt after this one began: the books tell the time of every other state of a transfer.
RETRIED_AT = "ALTER TABLE attempts ADD COLUMN retried_at timestamptz"

# The generation that is shown, and how far it is. Generation 0 shows nothing: it waits for its first rebuild.
PROJECTIONS = (
    """
    CREATE TABLE projections (
        name       text PRIMARY KEY CHECK (name ~ '^[a-z_]+$'),
        generation integer NOT NULL CHECK (generation >= 0),
        position   bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
        applied_at timestamptz
    )
    """,
    """
    CREATE TABLE projection_rebuilds (
        id           text PRIMARY KEY CHECK (id ~ '^prb_[a-z2-7]{26}$'),
        projection   text NOT NULL REFERENCES projections (name),
        generation   integer CHECK (generation >= 1),
        action_id    text UNIQUE REFERENCES staff_actions (id),
        stage        text NOT NULL DEFAULT 'requested'
            CHECK (stage IN ('requested', 'books', 'events', 'dropping', 'completed')),
        starts_after bigint,
        books_until  timestamptz,
        place_at     timestamptz,
        place_id     text,
        position     bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
        requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        completed_at timestamptz,
        CHECK ((completed_at IS NOT NULL) = (stage = 'completed')),
        CHECK (num_nulls(generation, starts_after, books_until) = CASE stage WHEN 'requested' THEN 3 ELSE 0 END),
        CHECK (num_nulls(place_at, place_id) IN (0, 2))
    )
    """,
    """
    CREATE UNIQUE INDEX projection_rebuilds_running ON projection_rebuilds (projection)
        WHERE completed_at IS NULL
    """,
    "CREATE INDEX projection_rebuilds_by_time ON projection_rebuilds (projection, requested_at DESC)",
)

# Rows of generation n stand in slot n % 2: a rebuild fills the other slot, and what it leaves is emptied at once.
ROWS = (
    """
    CREATE TABLE account_stats (
        slot             smallint NOT NULL CHECK (slot IN (0, 1)),
        account_id       text NOT NULL,
        version          bigint NOT NULL CHECK (version >= 1),
        balance_minor    bigint NOT NULL,
        deposits         bigint NOT NULL CHECK (deposits >= 0),
        deposited_minor  bigint NOT NULL,
        withdrawals      bigint NOT NULL CHECK (withdrawals >= 0),
        withdrawn_minor  bigint NOT NULL,
        incoming         bigint NOT NULL CHECK (incoming >= 0),
        incoming_minor   bigint NOT NULL,
        outgoing         bigint NOT NULL CHECK (outgoing >= 0),
        outgoing_minor   bigint NOT NULL,
        last_activity_at timestamptz NOT NULL,
        PRIMARY KEY (slot, account_id),
        CHECK (balance_minor = deposited_minor - withdrawn_minor + incoming_minor - outgoing_minor)
    ) PARTITION BY LIST (slot)
    """,
    """
    CREATE TABLE transfer_status (
        slot        smallint NOT NULL CHECK (slot IN (0, 1)),
        transfer_id text NOT NULL,
        state       text NOT NULL,
        attempt     smallint NOT NULL,
        reached     jsonb NOT NULL CHECK (jsonb_array_length(reached) > 0),
        PRIMARY KEY (slot, transfer_id)
    ) PARTITION BY LIST (slot)
    """,
    # With room in each page for the next version of a row.
    *(
        f"CREATE TABLE {table}_{slot} PARTITION OF {table} FOR VALUES IN ({slot}) WITH (fillfactor = 80)"
        for table in ("account_stats", "transfer_status")
        for slot in (0, 1)
    ),
)

# What the books say of the times that `transfer_status` holds: each state of each attempt, with its time.
TRANSFER_TIMES = """
CREATE VIEW transfer_times WITH (security_invoker) AS
    SELECT id AS transfer_id, 1::smallint AS attempt, 'initiated' AS state, created_at AS at FROM transfers
    UNION ALL SELECT transfer_id, (attempt + 1)::smallint, 'initiated', coalesce(retried_at, ended_at) FROM attempts
    UNION ALL SELECT transfer_id, attempt, 'in_review', began_at FROM reviews
    UNION ALL SELECT transfer_id, attempt, 'debited', recorded_at FROM postings WHERE leg = 'debit'
    UNION ALL SELECT transfer_id, attempt, state, ended_at FROM attempts
    UNION ALL SELECT id, attempt, state, completed_at FROM transfers WHERE completed_at IS NOT NULL
"""

# A database without books shows the first generation at once; any other rebuilds it from its books.
FIRST_GENERATION = """
INSERT INTO projections (name, generation)
SELECT name, CASE WHEN EXISTS (SELECT FROM transfers) THEN 0 ELSE 1 END
FROM unnest(ARRAY['account_stats', 'transfer_status']) AS name
"""
FIRST_REBUILD = """
INSERT INTO projection_rebuilds (id, projection)
SELECT 'prb_' || translate(substr(md5(name), 1, 26), '0189', 'ghij'), name FROM projections WHERE generation = 0
"""

GRANTS = (
    "GRANT SELECT ON projections, projection_rebuilds, account_stats, transfer_status, transfer_times TO remit_app",
    "GRANT INSERT (id, projection, action_id) ON projection_rebuilds TO remit_app",
    "GRANT UPDATE (generation, position, applied_at) ON projections TO remit_worker",
    """
    GRANT UPDATE (stage, generation, starts_after, books_until, place_at, place_id, position, completed_at)
        ON projection_rebuilds TO remit_worker
    """,
    "GRANT INSERT, UPDATE ON account_stats, transfer_status TO remit_worker",
    *(
        f"GRANT TRUNCATE ON {table}_{slot} TO remit_worker"
        for table in ("account_stats", "transfer_status")
        for slot in (0, 1)
    ),
)


def upgrade() -> None:
    for statement in (RETRIED_AT, *PROJECTIONS, *ROWS, TRANSFER_TIMES, FIRST_GENERATION, FIRST_REBUILD, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
