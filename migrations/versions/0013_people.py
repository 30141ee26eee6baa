"""The role for people: they read the books for the runbook, and end a session that holds up the others."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# As remit_app: the role may exist already, and in production `deploy/postgres/databases.sql` has made it. Only a
# superuser, as the embedded server's owner is one, can let it see and end the sessions of others.
ROLE = """
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'remit_operator') THEN
            CREATE ROLE remit_operator NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        AND NOT pg_has_role('remit_operator', 'pg_signal_backend', 'MEMBER') THEN
        GRANT pg_signal_backend, pg_read_all_stats TO remit_operator;
    END IF;
END $$
"""

# Of customers, people read who they are, and neither the password's hash nor the number of the document. A later
# table is readable at once; a migration that adds one with a secret in it revokes that.
GRANTS = (
    "GRANT USAGE ON SCHEMA public TO remit_operator",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO remit_operator",
    "REVOKE SELECT ON customers FROM remit_operator",
    """
    GRANT SELECT (id, email, full_name, identity_document_type, role, role_since, created_at) ON customers
        TO remit_operator
    """,
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO remit_operator",
)


def upgrade() -> None:
    for statement in (ROLE, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
