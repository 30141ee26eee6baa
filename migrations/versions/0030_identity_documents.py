"""Identity documents with encrypted numbers; until a customer is verified, no money leaves their accounts."""

from alembic import op

from database.schema_changes import add_constraint, create_index

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

STATES = "('pending', 'in_review', 'verified', 'rejected')"
CODES = "('number_unknown', 'name_mismatch', 'document_expired', 'document_refused')"

DOCUMENTS = (
    f"""
    CREATE TABLE IF NOT EXISTS identity_documents (
        id               text PRIMARY KEY CHECK (id ~ '^doc_[a-z2-7]{{26}}$'),
        customer_id      text NOT NULL REFERENCES customers (id),
        type             text NOT NULL CHECK (type IN ('NIN', 'BVN', 'ID_CARD')),
        number_encrypted text,
        number_plain     text,
        last_characters  text NOT NULL CHECK (length(last_characters) <= 4),
        state            text NOT NULL DEFAULT 'pending' CHECK (state IN {STATES}),
        code             text CHECK (code IN {CODES}),
        submitted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        decided_at       timestamptz,
        CHECK ((number_encrypted IS NULL) <> (number_plain IS NULL)),
        CHECK ((code IS NOT NULL) = (state = 'rejected')),
        CHECK ((decided_at IS NOT NULL) = (state IN ('verified', 'rejected')))
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS identity_documents_one_undecided ON identity_documents (customer_id)
        WHERE state IN ('pending', 'in_review')
    """,
    """
    CREATE INDEX IF NOT EXISTS identity_documents_by_customer
        ON identity_documents (customer_id, submitted_at DESC, id DESC)
    """,
    """
    CREATE INDEX IF NOT EXISTS identity_documents_by_state ON identity_documents (state, submitted_at DESC, id DESC)
    """,
    # Empty, once the numbers of before are encrypted.
    """
    CREATE INDEX IF NOT EXISTS identity_documents_plain ON identity_documents (id) WHERE number_plain IS NOT NULL
    """,
    """
    CREATE OR REPLACE FUNCTION refuse_change_of_decided_document() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'document % is decided and keeps its decision', OLD.id USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER decided_once BEFORE UPDATE OF state, code, customer_id ON identity_documents
        FOR EACH ROW WHEN (OLD.decided_at IS NOT NULL) EXECUTE FUNCTION refuse_change_of_decided_document()
    """,
)

CUSTOMERS = (
    "ALTER TABLE customers ADD COLUMN IF NOT EXISTS verification text",
    "ALTER TABLE customers ADD COLUMN IF NOT EXISTS rejection_code text",
    "ALTER TABLE customers ADD COLUMN IF NOT EXISTS identity_document_end text",
)

# Who moved money before documents were verified goes on doing so. A worker encrypts what is plain here.
FROM_BEFORE = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = current_schema()
        AND table_name = 'customers' AND column_name = 'identity_document_number') THEN
        INSERT INTO identity_documents
            (id, customer_id, type, number_plain, last_characters, state, submitted_at, decided_at)
        SELECT 'doc_' || substr(id, 5), id, identity_document_type, identity_document_number,
            right(identity_document_number, least(4, length(identity_document_number) / 3)),
            'verified', created_at, clock_timestamp()
        FROM customers WHERE identity_document_type IS NOT NULL
        ON CONFLICT DO NOTHING;
        UPDATE customers SET verification = 'verified',
            identity_document_end = right(identity_document_number, least(4, length(identity_document_number) / 3))
        WHERE identity_document_type IS NOT NULL AND verification IS NULL;
        ALTER TABLE customers DROP COLUMN identity_document_number;
    END IF;
END $$
"""

# In the account's row, so that a debit decides with what it has locked anyway. The accounts of before are verified.
ACCOUNTS = (
    "ALTER TABLE accounts ADD COLUMN IF NOT EXISTS owner_verified boolean NOT NULL DEFAULT true",
    "ALTER TABLE accounts ALTER COLUMN owner_verified SET DEFAULT false",
    # The customer's row tells it, whatever the insert says. Its lock waits for a verification that is being written.
    # Accounts of the system do not pass here: they are inserted as verified.
    """
    CREATE OR REPLACE FUNCTION refuse_account_without_identity() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        known text;
    BEGIN
        SELECT verification INTO known FROM customers WHERE id = NEW.owner_id FOR SHARE;
        IF FOUND AND known IS NULL THEN
            RAISE EXCEPTION 'customer % has no identity document and may hold no account', NEW.owner_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_need_identity';
        END IF;
        NEW.owner_verified := coalesce(known = 'verified', false);
        RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION refuse_unverified_owner() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT NEW.owner_verified OR NOT EXISTS
            (SELECT FROM customers WHERE id = NEW.owner_id AND verification = 'verified') THEN
            RAISE EXCEPTION 'account %: its owner is verified only once their document is, and for good', NEW.id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER verified_owner BEFORE UPDATE OF owner_verified ON accounts
        FOR EACH ROW WHEN (OLD.owner_verified <> NEW.owner_verified) EXECUTE FUNCTION refuse_unverified_owner()
    """,
)

MESSAGES = """
CREATE TABLE IF NOT EXISTS customer_messages (
    customer_id text NOT NULL REFERENCES customers (id),
    occasion    text NOT NULL,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, occasion)
)
"""

GRANTS = (
    """
    GRANT SELECT, INSERT, UPDATE (number_encrypted, number_plain, state, code, decided_at) ON identity_documents
        TO remit_app
    """,
    """
    GRANT UPDATE (verification, rejection_code, identity_document_type, identity_document_end) ON customers TO remit_app
    """,
    "GRANT UPDATE (owner_verified) ON accounts TO remit_app",
    "GRANT SELECT, INSERT ON customer_messages TO remit_app",
    "GRANT SELECT (verification, rejection_code, identity_document_end) ON customers TO remit_operator",
    "REVOKE SELECT ON identity_documents FROM remit_operator",
    """
    GRANT SELECT (id, customer_id, type, last_characters, state, code, submitted_at, decided_at) ON identity_documents
        TO remit_operator
    """,
)


def upgrade() -> None:
    for statement in (*DOCUMENTS, *CUSTOMERS, FROM_BEFORE, *ACCOUNTS, MESSAGES, *GRANTS):
        op.execute(statement)
    add_constraint("customers", "customers_verification_check", f"CHECK (verification IN {STATES})")
    add_constraint(
        "customers",
        "customers_document_check",
        "CHECK ((verification IS NULL) = (identity_document_type IS NULL) "
        "AND (verification IS NULL) = (identity_document_end IS NULL))",
    )
    add_constraint(
        "customers",
        "customers_rejection_check",
        f"CHECK ((rejection_code IS NULL OR rejection_code IN {CODES}) "
        "AND (rejection_code IS NOT NULL) = (verification IS NOT DISTINCT FROM 'rejected'))",
    )
    create_index(
        "customers_undecided",
        "customers (created_at) WHERE verification IN ('pending', 'in_review')",
    )


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
