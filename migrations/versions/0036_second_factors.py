"""Second factors: their secrets encrypted, their recovery codes as hashes."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

FACTORS = """
CREATE TABLE second_factors (
    customer_id  text PRIMARY KEY REFERENCES customers (id),
    secret       text NOT NULL,
    last_step    bigint NOT NULL DEFAULT 0,
    failures     integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at timestamptz,
    failed_at    timestamptz
)
"""

CODES = """
CREATE TABLE recovery_codes (
    customer_id text NOT NULL REFERENCES customers (id),
    code_hash   text NOT NULL CHECK (code_hash ~ '^[0-9a-f]{64}$'),
    used_at     timestamptz,
    PRIMARY KEY (customer_id, code_hash)
)
"""

STATEMENTS = (
    FACTORS,
    CODES,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON second_factors TO remit_app",
    "GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON recovery_codes TO remit_app",
    "REVOKE SELECT ON second_factors, recovery_codes FROM remit_operator",
    "GRANT SELECT (customer_id, created_at, confirmed_at, failures, failed_at) ON second_factors TO remit_operator",
    "GRANT SELECT (customer_id, used_at) ON recovery_codes TO remit_operator",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
