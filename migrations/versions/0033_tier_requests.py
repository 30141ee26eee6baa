"""Requests for a higher tier, and who decided about them."""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

REQUESTS = (
    """
    CREATE TABLE tier_requests (
        id               text PRIMARY KEY CHECK (id ~ '^trq_[a-z2-7]{26}$'),
        account_id       text NOT NULL REFERENCES accounts (id),
        customer_id      text NOT NULL REFERENCES customers (id),
        tier             smallint NOT NULL CHECK (tier BETWEEN 2 AND 9),
        document_type    text NOT NULL CHECK (document_type IN ('NIN', 'BVN', 'ID_CARD')),
        number_encrypted text NOT NULL,
        last_characters  text NOT NULL CHECK (length(last_characters) <= 4),
        state            text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'rejected', 'expired')),
        approvals        smallint NOT NULL CHECK (approvals IN (1, 2)),
        deadline         timestamptz NOT NULL,
        created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
        closed_at        timestamptz,
        closed_reason    text CHECK (closed_reason ~ '[^[:space:]]'),
        CHECK (num_nulls(closed_at, closed_reason) IN (0, 2)),
        CHECK ((closed_at IS NULL) = (state = 'open'))
    )
    """,
    "CREATE UNIQUE INDEX tier_requests_one_open ON tier_requests (account_id) WHERE state = 'open'",
    "CREATE INDEX tier_requests_by_account ON tier_requests (account_id, created_at DESC, id DESC)",
    "CREATE INDEX tier_requests_by_time ON tier_requests (created_at DESC, id DESC)",
    "CREATE INDEX tier_requests_by_state ON tier_requests (state, created_at DESC, id DESC)",
)

# What was asked for never changes, and what is closed stays as it is.
LEGAL = (
    """
    CREATE FUNCTION refuse_other_tier_request() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.state <> 'open' THEN
            RAISE EXCEPTION 'tier request % is closed', OLD.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER legal_tier_request BEFORE UPDATE ON tier_requests
        FOR EACH ROW EXECUTE FUNCTION refuse_other_tier_request()
    """,
)

DECISIONS = (
    """
    CREATE TABLE tier_request_decisions (
        request_id text NOT NULL REFERENCES tier_requests (id),
        decider    text NOT NULL REFERENCES customers (id),
        ruling     text NOT NULL CHECK (ruling IN ('approve', 'reject')),
        reason     text NOT NULL CHECK (reason ~ '[^[:space:]]'),
        decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        action_id  text NOT NULL UNIQUE REFERENCES staff_actions (id),
        PRIMARY KEY (request_id, decider)
    )
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tier_request_decisions
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

# People read everything but the document's number.
GRANTS = (
    "GRANT SELECT, INSERT, UPDATE (state, closed_at, closed_reason) ON tier_requests TO remit_app",
    "GRANT SELECT, INSERT ON tier_request_decisions TO remit_app",
    "REVOKE SELECT ON tier_requests FROM remit_operator",
    """
    GRANT SELECT (id, account_id, customer_id, tier, document_type, last_characters, state, approvals, deadline,
        created_at, closed_at, closed_reason) ON tier_requests TO remit_operator
    """,
)


def upgrade() -> None:
    for statement in (*REQUESTS, *LEGAL, *DECISIONS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
