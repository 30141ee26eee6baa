"""Disputes: a payer's objection, what both parties stated, and the decision."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DISPUTES = """
CREATE TABLE disputes (
    id                   text PRIMARY KEY CHECK (id ~ '^dsp_[a-z2-7]{26}$'),
    transfer_id          text NOT NULL REFERENCES transfers (id),
    payer_id             text NOT NULL REFERENCES customers (id),
    payee_id             text NOT NULL REFERENCES customers (id),
    reason               text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    state                text NOT NULL DEFAULT 'open' CHECK (state IN
        ('open', 'reversing', 'reversed', 'reversal_failed', 'rejected', 'expired')),
    deadline             timestamptz NOT NULL,
    ruling               text CHECK (ruling IN ('reverse', 'reject')),
    amount_minor         bigint CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    decided_by           text REFERENCES customers (id) CHECK (decided_by NOT IN (payer_id, payee_id)),
    decided_reason       text CHECK (decided_reason ~ '[^[:space:]]'),
    decided_at           timestamptz,
    reversal_transfer_id text REFERENCES transfers (id),
    outcome              text,
    created_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at            timestamptz,
    CHECK (payer_id <> payee_id),
    CHECK (num_nulls(ruling, decided_by, decided_reason, decided_at) IN (0, 4)),
    CHECK ((amount_minor IS NOT NULL) = (ruling IS NOT NULL AND ruling = 'reverse')),
    CHECK (CASE state
        WHEN 'open' THEN ruling IS NULL
        WHEN 'expired' THEN ruling IS NULL
        WHEN 'rejected' THEN ruling IS NOT NULL AND ruling = 'reject'
        ELSE ruling IS NOT NULL AND ruling = 'reverse' END),
    CHECK ((closed_at IS NULL) = (state IN ('open', 'reversing'))),
    CHECK (state <> 'reversed' OR reversal_transfer_id IS NOT NULL)
)
"""

STATEMENTS = """
CREATE TABLE dispute_statements (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dispute_id text NOT NULL REFERENCES disputes (id),
    author_id  text NOT NULL REFERENCES customers (id),
    text       text NOT NULL CHECK (text ~ '[^[:space:]]'),
    stated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

INDEXES = (
    "CREATE UNIQUE INDEX disputes_one_open ON disputes (transfer_id) WHERE state IN ('open', 'reversing')",
    "CREATE INDEX disputes_by_payer ON disputes (payer_id, created_at DESC, id DESC)",
    "CREATE INDEX disputes_by_payee ON disputes (payee_id, created_at DESC, id DESC)",
    "CREATE INDEX disputes_by_time ON disputes (created_at DESC, id DESC)",
    "CREATE INDEX disputes_not_closed ON disputes (updated_at) WHERE state IN ('open', 'reversing')",
    "CREATE INDEX dispute_statements_by_dispute ON dispute_statements (dispute_id, id)",
)

# The same table as NEXT_DISPUTE_STATE in disputes/dispute.py. The objection and the ruling never change.
LEGAL = (
    """
    CREATE FUNCTION refuse_illegal_dispute() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.closed_at IS NOT NULL OR NOT (CASE OLD.state
            WHEN 'open' THEN NEW.state IN ('open', 'reversing', 'rejected', 'expired')
            ELSE NEW.state IN ('reversing', 'reversed', 'reversal_failed') END) THEN
            RAISE EXCEPTION 'dispute % may not go from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        IF (OLD.id, OLD.transfer_id, OLD.payer_id, OLD.payee_id, OLD.reason, OLD.deadline, OLD.created_at)
            IS DISTINCT FROM
            (NEW.id, NEW.transfer_id, NEW.payer_id, NEW.payee_id, NEW.reason, NEW.deadline, NEW.created_at)
            OR (OLD.ruling IS NOT NULL AND
                (OLD.ruling, OLD.amount_minor, OLD.decided_by, OLD.decided_reason, OLD.decided_at) IS DISTINCT FROM
                (NEW.ruling, NEW.amount_minor, NEW.decided_by, NEW.decided_reason, NEW.decided_at)) THEN
            RAISE EXCEPTION 'dispute % keeps what it was opened with and what was ruled', OLD.id
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER legal_dispute BEFORE UPDATE ON disputes
        FOR EACH ROW EXECUTE FUNCTION refuse_illegal_dispute()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_statements
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    "GRANT SELECT, INSERT ON disputes, dispute_statements TO remit_app",
    """
    GRANT UPDATE (state, ruling, amount_minor, decided_by, decided_reason, decided_at, reversal_transfer_id, outcome,
        updated_at, closed_at) ON disputes TO remit_app
    """,
)


def upgrade() -> None:
    for statement in (DISPUTES, STATEMENTS, *INDEXES, *LEGAL):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
