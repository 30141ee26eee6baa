"""Account numbers with check digits, names that customers give their accounts, and counted payee checks."""

from alembic import op
from sqlalchemy import text

from database.schema_changes import add_constraint, create_index

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# The same as `is_account_number` in ledger/account_numbers.py. CASE, because AND promises no order.
HAS_CHECK_DIGITS = """
CREATE OR REPLACE FUNCTION has_check_digits(number text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN number ~ '^RM[0-9]{14}$'
        THEN (substr(number, 5) || '2722' || substr(number, 3, 2))::bigint % 97 = 1 ELSE false END
$$
"""

# From the generator of random UUIDs, which nobody can foresee. The unique index refuses the second of two equal numbers
# that are made at the same moment, once in thousands of years.
NEW_ACCOUNT_NUMBER = """
CREATE OR REPLACE FUNCTION new_account_number() RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    random_bits bigint;
    digits      text;
    candidate   text;
BEGIN
    LOOP
        random_bits := ('x' || encode(substr(sha256(uuid_send(gen_random_uuid())), 1, 7), 'hex'))::bit(56)::bigint;
        digits := lpad((random_bits % 1000000000000)::text, 12, '0');
        candidate := 'RM' || lpad((98 - (digits || '272200')::bigint % 97)::text, 2, '0') || digits;
        IF NOT EXISTS (SELECT FROM accounts WHERE number = candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
END $$
"""

COLUMNS = (
    "ALTER TABLE accounts ADD COLUMN IF NOT EXISTS number text",
    "ALTER TABLE accounts ADD COLUMN IF NOT EXISTS name text",
    "ALTER TABLE accounts ALTER COLUMN number SET DEFAULT new_account_number()",
)

# A few rows at a time: no step waits long for one of them.
FILL = """
    UPDATE accounts SET number = new_account_number()
    WHERE id IN (SELECT id FROM accounts WHERE number IS NULL ORDER BY id LIMIT 100)
"""

FIXED_NUMBER = (
    """
    CREATE OR REPLACE FUNCTION refuse_another_number() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'account % keeps its number', OLD.id USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER fixed_number BEFORE UPDATE OF number ON accounts
        FOR EACH ROW WHEN (OLD.number IS DISTINCT FROM NEW.number) EXECUTE FUNCTION refuse_another_number()
    """,
)

PAYEE_CHECKS = (
    """
    CREATE TABLE IF NOT EXISTS payee_checks (
        customer_id text PRIMARY KEY REFERENCES customers (id),
        checks      integer NOT NULL CHECK (checks >= 0),
        since       timestamptz NOT NULL
    )
    """,
    "GRANT SELECT, INSERT, UPDATE ON payee_checks TO remit_app",
    "GRANT UPDATE (name) ON accounts TO remit_app",
)


def upgrade() -> None:
    for statement in (HAS_CHECK_DIGITS, COLUMNS[0], NEW_ACCOUNT_NUMBER, *COLUMNS[1:], *PAYEE_CHECKS):
        op.execute(statement)
    create_index("accounts_by_number", "accounts (number)", unique=True)
    with op.get_context().autocommit_block():
        while op.get_bind().execute(text(FILL)).rowcount:
            pass
    add_constraint("accounts", "accounts_number_check", "CHECK (number IS NOT NULL AND has_check_digits(number))")
    add_constraint("accounts", "accounts_name_check", "CHECK (length(name) BETWEEN 1 AND 60)")
    op.execute("ALTER TABLE accounts ALTER COLUMN number SET NOT NULL")
    for statement in FIXED_NUMBER:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
