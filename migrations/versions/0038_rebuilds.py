"""Rebuilds of accounts from their entries: how far each has come, and what it found."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

# Who requested it, and why, is in the action. `position` is the last account that was looked at.
REBUILDS = (
    """
    CREATE TABLE rebuilds (
        id             text PRIMARY KEY CHECK (id ~ '^rbd_[a-z2-7]{26}$'),
        action_id      text NOT NULL UNIQUE REFERENCES staff_actions (id),
        account_id     text REFERENCES accounts (id),
        state          text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'completed')),
        position       text NOT NULL DEFAULT '',
        accounts_done  bigint NOT NULL DEFAULT 0 CHECK (accounts_done >= 0),
        accounts_total bigint CHECK (accounts_total >= accounts_done),
        created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        completed_at   timestamptz,
        CHECK ((completed_at IS NOT NULL) = (state = 'completed'))
    )
    """,
    "CREATE INDEX rebuilds_by_time ON rebuilds (created_at DESC, id DESC)",
    "CREATE INDEX rebuilds_running ON rebuilds (created_at) WHERE state = 'running'",
)

# A rebuild only goes forward, and a completed one stays as it is.
LEGAL = (
    """
    CREATE FUNCTION refuse_other_rebuild() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.state <> 'running' OR NEW.position < OLD.position
            OR NEW.accounts_done < OLD.accounts_done THEN
            RAISE EXCEPTION 'rebuild % does not go back', OLD.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER legal_rebuild BEFORE UPDATE ON rebuilds
        FOR EACH ROW EXECUTE FUNCTION refuse_other_rebuild()
    """,
)

# One row for each account and outcome: a step that runs twice reports an account once. No foreign key to the account:
# its check would wait for whoever holds the row, and that is what may have to be reported.
FINDINGS = (
    """
    CREATE TABLE rebuild_findings (
        rebuild_id text NOT NULL REFERENCES rebuilds (id),
        account_id text NOT NULL,
        outcome    text NOT NULL CHECK (outcome IN ('rebuilt', 'left')),
        before     jsonb,
        after      jsonb,
        code       text,
        detail     text,
        found_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (rebuild_id, account_id, outcome),
        CHECK (num_nulls(before, after) = CASE outcome WHEN 'rebuilt' THEN 0 ELSE 2 END),
        CHECK (num_nulls(code, detail) = CASE outcome WHEN 'left' THEN 0 ELSE 2 END)
    )
    """,
    "CREATE INDEX rebuild_findings_by_time ON rebuild_findings (rebuild_id, found_at DESC, account_id DESC)",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rebuild_findings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

GRANTS = (
    """
    GRANT SELECT, INSERT, UPDATE (state, position, accounts_done, accounts_total, completed_at) ON rebuilds
        TO remit_app
    """,
    "GRANT SELECT, INSERT ON rebuild_findings TO remit_app",
)


def upgrade() -> None:
    for statement in (*REBUILDS, *LEGAL, *FINDINGS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
