"""Customers, accounts and the append-only ledger.

Hand-written SQL: what the database itself enforces is the last defence, so it is spelled out here and nowhere else.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Roles are shared by all databases of a server, so the role may be there already, or be made by another at once.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'remit_app') THEN
        CREATE ROLE remit_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$
"""

CUSTOMERS = """
CREATE TABLE customers (
    id                       text PRIMARY KEY CHECK (id ~ '^cus_[a-z2-7]{26}$'),
    email                    text NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash            text NOT NULL,
    full_name                text NOT NULL,
    identity_document_type   text NOT NULL CHECK (identity_document_type IN ('NIN', 'BVN', 'ID_CARD')),
    identity_document_number text NOT NULL,
    role                     text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'operator', 'admin')),
    created_at               timestamptz NOT NULL DEFAULT now()
)
"""

REVOKED_TOKENS = """
CREATE TABLE revoked_tokens (
    token_id   text PRIMARY KEY,
    expires_at timestamptz NOT NULL
)
"""

# fillfactor leaves room for the next version of a row beside it, so that a balance write touches no index.
ACCOUNTS = """
CREATE TABLE accounts (
    id            text PRIMARY KEY CHECK (id ~ '^acc_[a-z2-7]{26}$'),
    owner_id      text NOT NULL REFERENCES customers (id),
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen', 'closed')),
    tier          smallint NOT NULL DEFAULT 1 CHECK (tier >= 1),
    balance_minor bigint NOT NULL DEFAULT 0 CHECK (balance_minor >= 0),
    version       bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    head_hash     bytea NOT NULL CHECK (octet_length(head_hash) = 32),
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, currency)
) WITH (fillfactor = 70)
"""

# No foreign key on the accounts: a transfer to an account that does not exist is recorded as a failed one, and
# `world` has no row. Entries have one.
TRANSFERS = """
CREATE TABLE transfers (
    id                     text PRIMARY KEY CHECK (id ~ '^trf_[a-z2-7]{26}$'),
    owner_id               text NOT NULL REFERENCES customers (id),
    idempotency_key        text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    fingerprint            text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    kind                   text NOT NULL CHECK (kind IN ('transfer', 'deposit', 'withdrawal')),
    source_account_id      text NOT NULL,
    destination_account_id text NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    currency               text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    note                   text,
    transaction_id         text,
    workflow_id            text NOT NULL,
    state                  text NOT NULL DEFAULT 'initiated' CHECK (state IN
        ('initiated', 'in_review', 'debited', 'completed', 'compensated', 'failed', 'cancelled')),
    attempt                smallint NOT NULL DEFAULT 1 CHECK (attempt BETWEEN 1 AND 3),
    failure_code           text,
    failure_message        text,
    created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at           timestamptz,
    UNIQUE (owner_id, idempotency_key),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((completed_at IS NOT NULL) = (state IN ('completed', 'compensated', 'failed', 'cancelled')))
) WITH (fillfactor = 70)
"""

TRANSFER_INDEXES = (
    """
    CREATE UNIQUE INDEX transfers_transaction_id ON transfers
        ((CASE kind WHEN 'deposit' THEN destination_account_id ELSE source_account_id END), transaction_id)
        WHERE transaction_id IS NOT NULL
    """,
    "CREATE INDEX transfers_by_source ON transfers (source_account_id, created_at DESC, id DESC)",
    "CREATE INDEX transfers_by_destination ON transfers (destination_account_id, created_at DESC, id DESC)",
    """
    CREATE INDEX transfers_not_final ON transfers (created_at)
        WHERE state IN ('initiated', 'in_review', 'debited')
    """,
)

# The same table as NEXT_STATE in ledger/transfers.py.
LEGAL_TRANSITION = """
CREATE FUNCTION refuse_illegal_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (CASE OLD.state
        WHEN 'initiated' THEN NEW.state IN ('in_review', 'debited', 'failed', 'cancelled')
        WHEN 'in_review' THEN NEW.state IN ('debited', 'failed', 'cancelled')
        WHEN 'debited' THEN NEW.state IN ('completed', 'compensated')
        WHEN 'failed' THEN NEW.state = 'initiated' AND NEW.attempt = OLD.attempt + 1
        WHEN 'compensated' THEN NEW.state = 'initiated' AND NEW.attempt = OLD.attempt + 1
        ELSE false
    END) OR (NEW.state <> 'initiated' AND NEW.attempt <> OLD.attempt) THEN
        RAISE EXCEPTION 'transfer % may not go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

LEGAL_TRANSITION_TRIGGER = """
CREATE TRIGGER legal_transition BEFORE UPDATE OF state, attempt ON transfers
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_transition()
"""

# What was asked for never changes, not even for the owner of the tables.
FIXED_ORDER = """
CREATE FUNCTION refuse_another_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'transfer % keeps what it was accepted with; correct it with a new transfer', OLD.id
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

FIXED_ORDER_TRIGGER = """
CREATE TRIGGER fixed_order BEFORE UPDATE OF id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
        destination_account_id, amount_minor, currency, note, transaction_id, created_at ON transfers
    FOR EACH ROW EXECUTE FUNCTION refuse_another_order()
"""

POSTINGS = """
CREATE TABLE postings (
    transfer_id       text NOT NULL REFERENCES transfers (id),
    attempt           smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    leg               text NOT NULL CHECK (leg IN ('debit', 'credit', 'refund')),
    id                text NOT NULL GENERATED ALWAYS AS
        ('pst_' || substr(transfer_id, 5) || '_' || attempt::text || '_' || leg) STORED,
    debit_account_id  text NOT NULL,
    credit_account_id text NOT NULL CHECK (credit_account_id <> debit_account_id),
    amount_minor      bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    recorded_at       timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, attempt, leg),
    CHECK (CASE leg WHEN 'debit' THEN credit_account_id = 'clearing' ELSE debit_account_id = 'clearing' END)
)
"""

ENTRIES = """
CREATE TABLE entries (
    account_id     text NOT NULL REFERENCES accounts (id),
    version        bigint NOT NULL CHECK (version >= 1),
    transfer_id    text NOT NULL,
    attempt        smallint NOT NULL,
    leg            text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor <> 0),
    balance_before bigint NOT NULL CHECK (balance_before >= 0),
    balance_after  bigint NOT NULL CHECK (balance_after >= 0),
    recorded_at    timestamptz NOT NULL,
    hash           bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (account_id, version),
    FOREIGN KEY (transfer_id, attempt, leg) REFERENCES postings (transfer_id, attempt, leg),
    CHECK (balance_after = balance_before + amount_minor)
)
"""

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused; correct it with a new transfer', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

MESSAGES = """
CREATE TABLE messages (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL,
    account_id  text NOT NULL REFERENCES accounts (id),
    customer_id text NOT NULL REFERENCES customers (id),
    body        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt, account_id)
)
"""

# The application may append to the books and change what a step changes; who, how much and between whom is fixed.
GRANTS = """
GRANT USAGE ON SCHEMA public TO remit_app;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO remit_app;
GRANT INSERT ON customers, accounts, transfers, postings, entries, messages, revoked_tokens TO remit_app;
GRANT DELETE ON revoked_tokens TO remit_app;
GRANT UPDATE (password_hash, role) ON customers TO remit_app;
GRANT UPDATE (status, tier, balance_minor, version, head_hash) ON accounts TO remit_app;
GRANT UPDATE (state, attempt, failure_code, failure_message, updated_at, completed_at, workflow_id)
    ON transfers TO remit_app;
GRANT remit_app TO CURRENT_USER;
"""


def upgrade() -> None:
    for statement in (ROLE, CUSTOMERS, REVOKED_TOKENS, ACCOUNTS, TRANSFERS, *TRANSFER_INDEXES):
        op.execute(statement)
    for statement in (LEGAL_TRANSITION, LEGAL_TRANSITION_TRIGGER, FIXED_ORDER, FIXED_ORDER_TRIGGER):
        op.execute(statement)
    for statement in (POSTINGS, ENTRIES, MESSAGES, APPEND_ONLY):
        op.execute(statement)
    for table in ("postings", "entries"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for statement in filter(None, map(str.strip, GRANTS.split(";"))):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
