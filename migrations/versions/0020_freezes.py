"""What a freeze stops: debits, credits or both."""

from alembic import op

from database.schema_changes import add_constraint

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Whoever sets the status alone, as the version before does, freezes both, or leaves nothing frozen.
IN_STEP = (
    """
    CREATE OR REPLACE FUNCTION keep_freeze_in_step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.frozen := CASE WHEN NEW.status = 'frozen' THEN coalesce(NEW.frozen, 'both') END;
        RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER freeze_in_step BEFORE INSERT OR UPDATE OF status, frozen ON accounts
        FOR EACH ROW EXECUTE FUNCTION keep_freeze_in_step()
    """,
)


def upgrade() -> None:
    op.execute("ALTER TABLE accounts ADD COLUMN IF NOT EXISTS frozen text")
    for statement in IN_STEP:
        op.execute(statement)
    op.execute("UPDATE accounts SET frozen = 'both' WHERE status = 'frozen' AND frozen IS NULL")
    op.execute("GRANT UPDATE (frozen) ON accounts TO remit_app")
    add_constraint(
        "accounts",
        "accounts_frozen_check",
        "CHECK ((status = 'frozen') = (frozen IS NOT NULL) AND frozen IN ('debits', 'credits', 'both'))",
    )


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
