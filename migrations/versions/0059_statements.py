"""Statements of accounts: a row for each that never changes, and the sums of its lines."""

from alembic import op

revision = "0059"
down_revision = "0055"
branch_labels = None
depends_on = None

# What a statement prints stands here, and not in rows that change: it reads the same for ever. The last entry of one
# period comes before the first one of the next, whatever their times are: a period is cut once, under the account's
# lock.
STATEMENTS = (
    """
    CREATE TABLE account_statements (
        account_id    text NOT NULL REFERENCES accounts (id),
        number        bigint NOT NULL CHECK (number >= 1),
        holder_name   text NOT NULL,
        bank_name     text NOT NULL,
        bank_address  text NOT NULL,
        time_zone     text NOT NULL,
        begins_at     timestamptz NOT NULL,
        ends_at       timestamptz NOT NULL,
        month         date CHECK (extract(day FROM month) = 1),
        from_version  bigint NOT NULL CHECK (from_version >= 1),
        to_version    bigint NOT NULL,
        opening_minor bigint NOT NULL,
        closing_minor bigint NOT NULL,
        opening_hash  bytea NOT NULL,
        head_hash     bytea NOT NULL,
        made_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (account_id, number),
        CHECK (ends_at > begins_at),
        CHECK (to_version >= from_version - 1),
        CHECK (to_version >= from_version OR (closing_minor, head_hash) = (opening_minor, opening_hash))
    )
    """,
    # A month has one statement, however often the sweep runs.
    "CREATE UNIQUE INDEX account_statements_by_month ON account_statements (account_id, month) WHERE month IS NOT NULL",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account_statements
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

# The last defence: numbers without a gap, and opening and closing as the entries have them.
CHECK_STATEMENT = """
CREATE FUNCTION check_account_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number <> (
        SELECT 1 + coalesce(max(s.number), 0) FROM account_statements s WHERE s.account_id = NEW.account_id
    ) THEN
        RAISE EXCEPTION 'statement % of % is not the next one', NEW.number, NEW.account_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM (VALUES (NEW.from_version - 1, NEW.opening_minor, NEW.opening_hash),
            (NEW.to_version, NEW.closing_minor, NEW.head_hash)) AS said (version, balance, hash)
        LEFT JOIN entries e ON (e.account_id, e.version) = (NEW.account_id, said.version)
        WHERE said.version > 0 AND (e.balance_after, e.hash) IS DISTINCT FROM (said.balance, said.hash)
            OR said.version = 0 AND (said.balance, said.hash) <> (0, sha256(convert_to(NEW.account_id, 'UTF8')))
    ) THEN
        RAISE EXCEPTION 'statement % of % is not what its entries say', NEW.number, NEW.account_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

# How far the lines are added up. The walk of a long one goes on from here.
TOTALS = (
    """
    CREATE TABLE account_statement_totals (
        account_id      text NOT NULL,
        number          bigint NOT NULL,
        through_version bigint NOT NULL,
        credits         bigint NOT NULL DEFAULT 0 CHECK (credits >= 0),
        credits_minor   bigint NOT NULL DEFAULT 0 CHECK (credits_minor >= credits),
        debits          bigint NOT NULL DEFAULT 0 CHECK (debits >= 0),
        debits_minor    bigint NOT NULL DEFAULT 0 CHECK (debits_minor >= debits),
        ready_at        timestamptz,
        PRIMARY KEY (account_id, number),
        FOREIGN KEY (account_id, number) REFERENCES account_statements (account_id, number)
    )
    """,
    """
    CREATE INDEX account_statement_totals_open ON account_statement_totals (account_id, number) WHERE ready_at IS NULL
    """,
    """
    CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON account_statement_totals
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

# Sums only grow, with one line for each entry; those of a ready statement lead from its opening to its closing.
CHECK_TOTALS = """
CREATE FUNCTION check_statement_totals() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stated account_statements;
    before account_statement_totals;
BEGIN
    SELECT s.* INTO stated FROM account_statements s WHERE (s.account_id, s.number) = (NEW.account_id, NEW.number);
    IF TG_OP = 'UPDATE' THEN
        before := OLD;
    ELSE
        before.through_version := stated.from_version - 1;
        before.credits := 0;
        before.debits := 0;
    END IF;
    IF before.ready_at IS NOT NULL OR NEW.through_version < before.through_version
        OR NEW.through_version > stated.to_version
        OR (NEW.ready_at IS NOT NULL) <> (NEW.through_version = stated.to_version)
        OR NEW.credits + NEW.debits - before.credits - before.debits <> NEW.through_version - before.through_version
        OR (NEW.ready_at IS NOT NULL
            AND stated.opening_minor + NEW.credits_minor - NEW.debits_minor <> stated.closing_minor) THEN
        RAISE EXCEPTION 'the sums of statement % of % do not add up', NEW.number, NEW.account_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

EVENT = """
CREATE FUNCTION emit_statement() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM public.emit_event('statement.ready', s.account_id || '/' || s.number, s.account_id, s.account_id, NULL,
        ARRAY[a.owner_id],
        jsonb_build_object('statement', jsonb_build_object('account_id', s.account_id, 'number', s.number,
            'currency', a.currency, 'begins_at', s.begins_at, 'ends_at', s.ends_at, 'time_zone', s.time_zone,
            'month', to_char(s.month, 'YYYY-MM'), 'from_version', s.from_version, 'to_version', s.to_version,
            'opening', s.opening_minor, 'credits', NEW.credits_minor, 'debits', NEW.debits_minor,
            'closing', s.closing_minor, 'head_hash', encode(s.head_hash, 'hex'))))
    FROM public.account_statements s JOIN public.accounts a ON a.id = s.account_id
    WHERE (s.account_id, s.number) = (NEW.account_id, NEW.number);
    RETURN NULL;
END $$
"""

TRIGGERS = (
    """
    CREATE TRIGGER checked BEFORE INSERT ON account_statements
        FOR EACH ROW EXECUTE FUNCTION check_account_statement()
    """,
    """
    CREATE TRIGGER checked BEFORE INSERT OR UPDATE ON account_statement_totals
        FOR EACH ROW EXECUTE FUNCTION check_statement_totals()
    """,
    """
    CREATE TRIGGER emitted AFTER INSERT OR UPDATE ON account_statement_totals
        FOR EACH ROW WHEN (NEW.ready_at IS NOT NULL) EXECUTE FUNCTION emit_statement()
    """,
)

GRANTS = (
    "GRANT SELECT, INSERT ON account_statements TO remit_app",
    """
    GRANT SELECT, INSERT, UPDATE (through_version, credits, credits_minor, debits, debits_minor, ready_at)
        ON account_statement_totals TO remit_app
    """,
    """
    GRANT SELECT (account_id, number, time_zone, begins_at, ends_at, month, from_version, to_version, opening_minor,
        closing_minor, opening_hash, head_hash, made_at) ON account_statements TO remit_auditor
    """,
    "GRANT SELECT ON account_statement_totals TO remit_auditor",
)


def upgrade() -> None:
    for statement in (*STATEMENTS, CHECK_STATEMENT, *TOTALS, CHECK_TOTALS, EVENT, *TRIGGERS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
