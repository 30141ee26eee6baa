"""The first answer to each keyed request that moves no money, for repeats."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# An attempt is named before it begins, and answered with the transfer's state; any other request has its answer here.
ANSWERS = """
CREATE TABLE answers (
    owner_id        text NOT NULL REFERENCES customers (id),
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request         text NOT NULL CHECK (request ~ '^[0-9a-f]{64}$'),
    attempt         smallint CHECK (attempt BETWEEN 2 AND 3),
    status          smallint CHECK (status BETWEEN 200 AND 299),
    location        text,
    body            text,
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner_id, idempotency_key),
    CHECK ((attempt IS NULL) = (status IS NOT NULL AND body IS NOT NULL)),
    CHECK (attempt IS NULL OR (status IS NULL AND body IS NULL AND location IS NULL))
)
"""


def upgrade() -> None:
    op.execute(ANSWERS)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON answers "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("GRANT SELECT, INSERT ON answers TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
