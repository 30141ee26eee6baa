"""Screening: the rule sets in use, every verdict that is no plain allow, and the cases that flags open."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

RULE_SETS = """
CREATE TABLE rule_sets (
    id          text PRIMARY KEY CHECK (id ~ '^rls_[a-z2-7]{26}$'),
    rules       jsonb NOT NULL CHECK (jsonb_typeof(rules) = 'array'),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

# One for each attempt: what screens it again finds the first verdict.
VERDICTS = """
CREATE TABLE verdicts (
    transfer_id text NOT NULL REFERENCES transfers (id),
    attempt     smallint NOT NULL CHECK (attempt BETWEEN 1 AND 3),
    answer      text NOT NULL CHECK (answer IN ('flag', 'review', 'decline')),
    rule_set_id text NOT NULL REFERENCES rule_sets (id),
    findings    jsonb NOT NULL,
    facts       jsonb NOT NULL,
    screened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transfer_id, attempt)
)
"""

CASES = """
CREATE TABLE cases (
    id             text PRIMARY KEY CHECK (id ~ '^cas_[a-z2-7]{26}$'),
    account_id     text NOT NULL REFERENCES accounts (id),
    opened_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at      timestamptz,
    closed_by      text REFERENCES customers (id),
    closing_reason text,
    CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CHECK ((closed_at IS NULL) = (closing_reason IS NULL))
)
"""

FLAGS = """
CREATE TABLE case_flags (
    case_id     text NOT NULL REFERENCES cases (id),
    transfer_id text NOT NULL,
    attempt     smallint NOT NULL,
    code        text NOT NULL CHECK (code <> ''),
    reason      text NOT NULL CHECK (reason <> ''),
    flagged_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (case_id, transfer_id, attempt, code),
    FOREIGN KEY (transfer_id, attempt) REFERENCES verdicts (transfer_id, attempt)
)
"""

INDEXES = (
    "CREATE INDEX verdicts_by_time ON verdicts USING brin (screened_at)",
    "CREATE INDEX cases_by_time ON cases (opened_at DESC, id DESC)",
    "CREATE INDEX cases_by_account ON cases (account_id, opened_at DESC, id DESC)",
    "CREATE INDEX cases_open_by_time ON cases (opened_at DESC, id DESC) WHERE closed_at IS NULL",
    "CREATE UNIQUE INDEX cases_open_by_account ON cases (account_id) WHERE closed_at IS NULL",
    "CREATE INDEX case_flags_by_transfer ON case_flags (transfer_id)",
)

# A case is closed once and for good. What is flagged afterwards opens another one.
CASE_RULES = (
    """
    CREATE FUNCTION refuse_changed_case() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'case % is closed, or not to be changed', OLD.id USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER closed_once BEFORE UPDATE ON cases FOR EACH ROW
        WHEN (OLD.closed_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id
            OR NEW.opened_at <> OLD.opened_at)
        EXECUTE FUNCTION refuse_changed_case()
    """,
    """
    CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON cases
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

GRANTS = (
    "GRANT SELECT, INSERT ON rule_sets, verdicts, case_flags TO remit_app",
    "GRANT SELECT, INSERT, UPDATE (closed_at, closed_by, closing_reason) ON cases TO remit_app",
    "GRANT UPDATE (screened_by) ON transfers TO remit_app",
)


def upgrade() -> None:
    # The rules that let the current attempt pass. No foreign key: its check would cost every debit.
    op.execute("ALTER TABLE transfers ADD COLUMN screened_by text")
    for statement in (RULE_SETS, VERDICTS, CASES, FLAGS, *INDEXES, *CASE_RULES):
        op.execute(statement)
    for table in ("rule_sets", "verdicts", "case_flags"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for statement in GRANTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
