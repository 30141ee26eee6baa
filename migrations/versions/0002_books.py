"""The books: accounts, transfers with their keys and attempts, and the append-only postings and entries."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

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

ACCOUNT_RULES = (
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
    # The same table as NEXT_STATUS in ledger/accounts.py: only a closed account has statuses that it may not take.
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

# The order is whole in its row, so that recovery needs nothing else; that a key names one transfer is for `keys`.
# No foreign key on the accounts: a transfer to an account that does not exist is recorded as a failed one, and
# `world` has no row. Entries have one.
TRANSFERS = """
CREATE TABLE transfers (
    id                     text PRIMARY KEY CHECK (id ~ '^trf_[a-z2-7]{26}$'),
    owner_id               text NOT NULL REFERENCES customers (id),
    idempotency_key        text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    fingerprint            text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    kind                   text NOT NULL CHECK (kind IN ('transfer', 'deposit', 'withdrawal', 'reversal')),
    source_account_id      text NOT NULL,
    destination_account_id text NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    currency               text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    note                   text,
    transaction_id         text,
    reverses_transfer_id   text REFERENCES transfers (id),
    workflow_id            text NOT NULL,
    state                  text NOT NULL DEFAULT 'initiated' CHECK (state IN
        ('initiated', 'in_review', 'debited', 'completed', 'compensated', 'failed', 'cancelled')),
    attempt                smallint NOT NULL DEFAULT 1 CHECK (attempt BETWEEN 1 AND 3),
    failure_code           text,
    failure_message        text,
    failure_side           text CHECK (failure_side IN ('source', 'destination')),
    created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at           timestamptz,
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK (failure_side IS NULL OR failure_code IS NOT NULL),
    CHECK ((completed_at IS NOT NULL) = (state IN ('completed', 'compensated', 'failed', 'cancelled'))),
    CONSTRAINT transfers_reversal_check CHECK ((kind = 'reversal') = (reverses_transfer_id IS NOT NULL))
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
    "CREATE INDEX transfers_by_time ON transfers (created_at DESC, id DESC)",
    """
    CREATE INDEX transfers_by_reversed ON transfers (reverses_transfer_id, created_at DESC, id DESC)
        WHERE reverses_transfer_id IS NOT NULL
    """,
    """
    CREATE INDEX transfers_not_final ON transfers (created_at)
        WHERE state IN ('initiated', 'in_review', 'debited')
    """,
)

# The same table as NEXT_STATE in ledger/transfers.py.
LEGAL_TRANSITION = (
    """
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
    """,
    """
    CREATE TRIGGER legal_transition BEFORE UPDATE OF state, attempt ON transfers
        FOR EACH ROW EXECUTE FUNCTION refuse_illegal_transition()
    """,
)

# An accepted order never changes, not even for the owner of the tables.
FIXED_ORDER = (
    """
    CREATE FUNCTION refuse_another_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'transfer % keeps what it was accepted with; correct it with a new transfer', OLD.id
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER fixed_order BEFORE UPDATE OF id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, note, transaction_id, created_at, reverses_transfer_id
        ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_another_order()
    """,
)

# The last defence against reversing too much: checked when a reversal begins an attempt, at the end of its transaction,
# because a reversal that does not fit is opened and refused in one transaction. The book holds this lock already.
REVERSALS_FIT = (
    """
    CREATE FUNCTION refuse_more_than_was_transferred() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        original transfers;
    BEGIN
        SELECT * INTO original FROM transfers WHERE id = NEW.reverses_transfer_id FOR NO KEY UPDATE;
        IF (original.kind, original.state, original.source_account_id, original.destination_account_id,
                original.currency) IS DISTINCT FROM
            ('transfer', 'completed', NEW.destination_account_id, NEW.source_account_id, NEW.currency) THEN
            RAISE EXCEPTION 'transfer % cannot be reversed by %', NEW.reverses_transfer_id, NEW.id
                USING ERRCODE = 'check_violation';
        END IF;
        IF original.amount_minor < (
            SELECT sum(amount_minor) FROM transfers
            WHERE reverses_transfer_id = original.id AND state NOT IN ('failed', 'cancelled', 'compensated')
        ) THEN
            RAISE EXCEPTION 'reversals of transfer % are more than it was', original.id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER within_transfer AFTER INSERT OR UPDATE OF state, attempt ON transfers
        DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.reverses_transfer_id IS NOT NULL AND NEW.state = 'initiated')
        EXECUTE FUNCTION refuse_more_than_was_transferred()
    """,
)

# What each customer's key names, for ever: the transfer that it opened, or the one whose transaction_id its request
# repeated. Whoever writes the row first has the key. The foreign key refuses a key whose transfer was not written.
KEYS = """
CREATE TABLE keys (
    owner_id        text NOT NULL,
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    fingerprint     text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    transfer_id     text NOT NULL REFERENCES transfers (id),
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner_id, idempotency_key)
)
"""

# How each attempt ended before the next one began. The newest attempt is in the transfer's own row.
ATTEMPTS = """
CREATE TABLE attempts (
    transfer_id     text NOT NULL REFERENCES transfers (id),
    attempt         smallint NOT NULL CHECK (attempt BETWEEN 1 AND 2),
    state           text NOT NULL CHECK (state IN ('failed', 'compensated')),
    failure_code    text,
    failure_message text,
    failure_side    text,
    workflow_id     text NOT NULL,
    ended_at        timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, attempt)
)
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

ENTRIES_BY_TRANSFER = "CREATE INDEX entries_by_transfer ON entries (transfer_id)"

TABLES = (ACCOUNTS, TRANSFERS, KEYS, ATTEMPTS, POSTINGS, ENTRIES)
APPEND_ONLY = ("keys", "attempts", "postings", "entries")

# The application may append to the books and change what a step changes. Owner, amount and accounts are fixed.
GRANTS = (
    "GRANT SELECT, INSERT, UPDATE (status, tier, balance_minor, version, head_hash) ON accounts TO remit_app",
    """
    GRANT SELECT, INSERT,
        UPDATE (state, attempt, failure_code, failure_message, failure_side, updated_at, completed_at, workflow_id)
        ON transfers TO remit_app
    """,
)


def upgrade() -> None:
    for statement in (*TABLES, *ACCOUNT_RULES, *TRANSFER_INDEXES, *LEGAL_TRANSITION, *FIXED_ORDER, *REVERSALS_FIT):
        op.execute(statement)
    for statement in (ENTRIES_BY_TRANSFER, *GRANTS):
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
