"""By which request under an `Idempotency-Key` a customer was registered, so that a repeat is answered as the first."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# `request` is a digest without the password and the document's number: it would make both easy to try out.
REGISTRATIONS = """
CREATE TABLE registrations (
    customer_id     text PRIMARY KEY REFERENCES customers (id),
    account_id      text NOT NULL REFERENCES accounts (id),
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request         text NOT NULL CHECK (request ~ '^[0-9a-f]{64}$'),
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def upgrade() -> None:
    op.execute(REGISTRATIONS)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON registrations "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("GRANT SELECT, INSERT ON registrations TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
