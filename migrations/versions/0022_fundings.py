"""Fundings: the system's customer, its accounts with a controlled overdraft, and transfers of the kind `funding`."""

from alembic import op

from database.schema_changes import add_constraint

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# The same as SYSTEM_CUSTOMER in ledger/ids.py. No password has this hash, and nobody can register the address.
SYSTEM = "cus_systemaaaaaaaaaaaaaaaaaaaa"

CUSTOMER = (
    f"""
    INSERT INTO customers (id, email, password_hash, full_name)
    VALUES ('{SYSTEM}', 'system@remit.invalid', '!', 'Remit System') ON CONFLICT DO NOTHING
    """,
    """
    CREATE OR REPLACE FUNCTION refuse_change_of_system() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the system''s customer never changes' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    f"""
    CREATE OR REPLACE TRIGGER fixed_system
        BEFORE UPDATE OF id, email, password_hash, full_name, role OR DELETE ON customers
        FOR EACH ROW WHEN (OLD.id = '{SYSTEM}') EXECUTE FUNCTION refuse_change_of_system()
    """,
    # The system shows no identity document.
    f"""
    CREATE OR REPLACE TRIGGER need_identity BEFORE INSERT ON accounts
        FOR EACH ROW WHEN (NEW.owner_id <> '{SYSTEM}') EXECUTE FUNCTION refuse_account_without_identity()
    """,
)

# How far a funding account may go below zero. All other accounts: not at all.
OVERDRAFT = (
    "ALTER TABLE accounts ADD COLUMN IF NOT EXISTS overdraft_minor bigint NOT NULL DEFAULT 0",
    "GRANT UPDATE (overdraft_minor) ON accounts TO remit_app",
)

OVERDRAFT_RULES = {
    "accounts_overdraft_check": f"""
        CHECK (overdraft_minor = 0
            OR (overdraft_minor BETWEEN 1 AND 9007199254740991 AND owner_id = '{SYSTEM}'))
    """,
    "accounts_floor_check": "CHECK (balance_minor >= -overdraft_minor)",
}

# To the customer a funding is a deposit.
ENTRY_TOTALS = """
CREATE OR REPLACE VIEW entry_totals WITH (security_invoker) AS
SELECT e.account_id, e.version, e.amount_minor, e.balance_after, e.recorded_at, e.hash,
    CASE WHEN e.leg = 'credit' AND t.kind IN ('deposit', 'funding') THEN 1 ELSE 0 END AS deposits,
    CASE WHEN e.leg = 'credit' AND t.kind IN ('deposit', 'funding') THEN e.amount_minor ELSE 0 END AS deposited_minor,
    CASE WHEN t.kind <> 'withdrawal' THEN 0 WHEN e.leg = 'refund' THEN -1 ELSE 1 END AS withdrawals,
    CASE WHEN t.kind = 'withdrawal' THEN -e.amount_minor ELSE 0 END AS withdrawn_minor,
    CASE WHEN e.leg = 'credit' AND t.kind NOT IN ('deposit', 'funding') THEN 1 ELSE 0 END AS incoming,
    CASE WHEN e.leg = 'credit' AND t.kind NOT IN ('deposit', 'funding') THEN e.amount_minor ELSE 0 END
        AS incoming_minor,
    CASE WHEN t.kind = 'withdrawal' OR e.leg = 'credit' THEN 0 WHEN e.leg = 'refund' THEN -1 ELSE 1 END AS outgoing,
    CASE WHEN t.kind = 'withdrawal' OR e.leg = 'credit' THEN 0 ELSE -e.amount_minor END AS outgoing_minor
FROM entries e CROSS JOIN LATERAL (SELECT kind FROM transfers WHERE id = e.transfer_id LIMIT 1) t
"""

# Entries of funding accounts are negative. A balance below its floor is refused with the account's row, which the same
# statement writes.
NO_LONGER = (
    "ALTER TABLE accounts DROP CONSTRAINT IF EXISTS accounts_balance_minor_check",
    "ALTER TABLE accounts RENAME CONSTRAINT accounts_floor_check TO accounts_balance_minor_check",
    "ALTER TABLE entries DROP CONSTRAINT IF EXISTS entries_balance_before_check",
    "ALTER TABLE entries DROP CONSTRAINT IF EXISTS entries_balance_after_check",
    "ALTER TABLE transfers DROP CONSTRAINT IF EXISTS transfers_kind_check",
    "ALTER TABLE transfers RENAME CONSTRAINT transfers_known_kind_check TO transfers_kind_check",
)


def upgrade() -> None:
    for statement in (*CUSTOMER, *OVERDRAFT):
        op.execute(statement)
    for name, rule in OVERDRAFT_RULES.items():
        add_constraint("accounts", name, rule)
    kinds = "CHECK (kind IN ('transfer', 'deposit', 'withdrawal', 'reversal', 'funding'))"
    add_constraint("transfers", "transfers_known_kind_check", kinds)
    for statement in (*NO_LONGER, ENTRY_TOTALS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
