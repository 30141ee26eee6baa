"""Customers, and what every later migration needs: the application's role, and the function behind append-only tables.

Hand-written SQL: what the database itself enforces is the last defence, so it is spelled out here and nowhere else.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# All databases of a server share its roles, so the role may exist already, or another database may create it now.
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

# Staff need no identity document, because they hold no account. Everybody who registers brings a whole one.
CUSTOMERS = """
CREATE TABLE customers (
    id                       text PRIMARY KEY CHECK (id ~ '^cus_[a-z2-7]{26}$'),
    email                    text NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash            text NOT NULL,
    full_name                text NOT NULL,
    identity_document_type   text CHECK (identity_document_type IN ('NIN', 'BVN', 'ID_CARD')),
    identity_document_number text,
    role                     text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'operator', 'admin')),
    created_at               timestamptz NOT NULL DEFAULT now(),
    CHECK ((identity_document_type IS NULL) = (identity_document_number IS NULL))
)
"""

# The operators of text_pattern_ops find a prefix in any collation.
CUSTOMERS_BY_EMAIL = "CREATE INDEX customers_by_email ON customers (email text_pattern_ops)"

REVOKED_TOKENS = """
CREATE TABLE revoked_tokens (
    token_id   text PRIMARY KEY,
    expires_at timestamptz NOT NULL
)
"""

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'What is written stays; correct it by writing more.';
END $$
"""

GRANTS = (
    "GRANT remit_app TO CURRENT_USER",
    "GRANT USAGE ON SCHEMA public TO remit_app",
    "GRANT SELECT ON alembic_version TO remit_app",
    "GRANT SELECT, INSERT, UPDATE (password_hash, role) ON customers TO remit_app",
    "GRANT SELECT, INSERT, DELETE ON revoked_tokens TO remit_app",
)


def upgrade() -> None:
    for statement in (ROLE, CUSTOMERS, CUSTOMERS_BY_EMAIL, REVOKED_TOKENS, APPEND_ONLY, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
