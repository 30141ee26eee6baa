"""Staff's roles: since when, and by whom; addresses that are verified; sessions that end together."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A token names the generation of its customer's sessions: raising it ends all of them, whatever any clock says.
COLUMNS = (
    "ALTER TABLE customers ADD COLUMN role_since timestamptz NOT NULL DEFAULT now()",
    # Roles of before have no other date: staff do not count as new because the service was upgraded.
    "UPDATE customers SET role_since = created_at",
    "ALTER TABLE customers ADD COLUMN email_verified_at timestamptz",
    "ALTER TABLE customers ADD COLUMN session_generation integer NOT NULL DEFAULT 0 CHECK (session_generation >= 0)",
    "GRANT UPDATE (email_verified_at, session_generation) ON customers TO remit_app",
)

# The last defence of four eyes: as the application, a role is raised only where two admins are on record for it since
# it last changed, neither of them the person themselves. Whoever owns the tables may raise any.
ROLES = (
    """
    CREATE FUNCTION refuse_lone_grant() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        raised boolean := NEW.role <> 'customer';
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.role = OLD.role THEN
                RETURN NEW;
            END IF;
            raised := OLD.role = 'customer' OR NEW.role = 'admin';
            NEW.role_since := clock_timestamp();
        END IF;
        IF raised AND current_user = 'remit_app' AND (TG_OP = 'INSERT' OR (
            SELECT count(DISTINCT actor_id) FROM staff_actions
            WHERE subject = NEW.id AND action IN ('request_role', 'grant_role') AND asked ->> 'role' = NEW.role
                AND actor_role = 'admin' AND actor_id <> NEW.id AND recorded_at > OLD.role_since
        ) < 2) THEN
            RAISE EXCEPTION 'customer % becomes % only by two admins', NEW.id, NEW.role
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER two_admins BEFORE INSERT OR UPDATE OF role ON customers
        FOR EACH ROW EXECUTE FUNCTION refuse_lone_grant()
    """,
)

CHANNEL = (
    "ALTER TABLE staff_actions DROP CONSTRAINT staff_actions_channel_check",
    """
    ALTER TABLE staff_actions ADD CONSTRAINT staff_actions_channel_check
        CHECK (channel IN ('api', 'temporal', 'console')) NOT VALID
    """,
    "ALTER TABLE staff_actions VALIDATE CONSTRAINT staff_actions_channel_check",
)


def upgrade() -> None:
    for statement in (*COLUMNS, *ROLES, *CHANNEL):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
