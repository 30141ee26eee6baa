"""Who issued the code for somebody's address counts as neither of the two admins, in the database as in the service."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TWO_ADMINS = """
CREATE OR REPLACE FUNCTION refuse_lone_grant() RETURNS trigger LANGUAGE plpgsql AS $$
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
        SELECT count(DISTINCT a.actor_id) FROM staff_actions a
        WHERE a.subject = NEW.id AND a.action IN ('request_role', 'grant_role') AND a.asked ->> 'role' = NEW.role
            AND a.actor_role = 'admin' AND a.actor_id <> NEW.id AND a.recorded_at > OLD.role_since
            AND NOT EXISTS (
                SELECT FROM staff_actions v
                WHERE v.subject = NEW.id AND v.action = 'verify_email' AND v.actor_id = a.actor_id)
    ) < 2) THEN
        RAISE EXCEPTION 'customer % becomes % only by two admins', NEW.id, NEW.role
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute(TWO_ADMINS)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
