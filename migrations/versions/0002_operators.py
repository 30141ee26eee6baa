"""Operators: staff without an account, and a record of their actions that nobody can edit afterwards."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Staff need no identity document: they hold no account. Everybody who registers still brings a whole one.
STAFF = (
    """
    ALTER TABLE customers
        ALTER COLUMN identity_document_type DROP NOT NULL,
        ALTER COLUMN identity_document_number DROP NOT NULL,
        ADD CHECK ((identity_document_type IS NULL) = (identity_document_number IS NULL))
    """,
    """
    CREATE FUNCTION refuse_account_without_identity() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM customers WHERE id = NEW.owner_id AND identity_document_type IS NULL) THEN
            RAISE EXCEPTION 'customer % has no identity document and may hold no account', NEW.owner_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_need_identity';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER need_identity BEFORE INSERT ON accounts
        FOR EACH ROW EXECUTE FUNCTION refuse_account_without_identity()
    """,
    # The operators of text_pattern_ops find a prefix in any collation.
    "CREATE INDEX customers_by_email ON customers (email text_pattern_ops)",
)

# The same table as NEXT_STATUS in ledger/accounts.py: only a closed account has statuses that it may not take.
LEGAL_STATUS = (
    """
    CREATE FUNCTION refuse_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'account % is closed and stays closed', OLD.id USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER legal_status BEFORE UPDATE OF status ON accounts
        FOR EACH ROW WHEN (OLD.status = 'closed' AND NEW.status <> 'closed') EXECUTE FUNCTION refuse_reopening()
    """,
)

ACTIONS = """
CREATE TABLE operator_actions (
    id          text PRIMARY KEY CHECK (id ~ '^act_[a-z2-7]{26}$'),
    actor_id    text NOT NULL REFERENCES customers (id),
    actor_role  text NOT NULL CHECK (actor_role IN ('customer', 'operator', 'admin')),
    action      text NOT NULL CHECK (action ~ '^[a-z]+(_[a-z]+)*$'),
    subject     text NOT NULL CHECK (subject <> ''),
    reason      text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    before      jsonb,
    after       jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

# The sentence about transfers was for postings and entries alone.
APPEND_ONLY = (
    """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'insufficient_privilege', HINT = 'What is written stays; correct it by writing more.';
    END $$
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_actions
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    "GRANT SELECT, INSERT ON operator_actions TO remit_app",
)

INDEXES = (
    "CREATE INDEX operator_actions_by_time ON operator_actions (recorded_at DESC, id DESC)",
    "CREATE INDEX operator_actions_by_subject ON operator_actions (subject, recorded_at DESC, id DESC)",
    "CREATE INDEX operator_actions_by_actor ON operator_actions (actor_id, recorded_at DESC, id DESC)",
    # What operators look things up by, over all customers.
    "CREATE INDEX transfers_by_time ON transfers (created_at DESC, id DESC)",
    "CREATE INDEX entries_by_transfer ON entries (transfer_id)",
)


def upgrade() -> None:
    for statement in (*STAFF, *LEGAL_STATUS, ACTIONS, *APPEND_ONLY, *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
