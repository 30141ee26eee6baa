"""Holds: the part of a balance that is kept for the reversal of one transfer. Disputes whose reversal is retried."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The sum of its holds is in the account's row, so that a debit decides with what it has locked anyway.
HELD = (
    "ALTER TABLE accounts ADD COLUMN held_minor bigint NOT NULL DEFAULT 0",
    """
    ALTER TABLE accounts ADD CONSTRAINT accounts_held_check
        CHECK (held_minor = 0 OR held_minor BETWEEN 1 AND balance_minor) NOT VALID
    """,
    "ALTER TABLE accounts VALIDATE CONSTRAINT accounts_held_check",
    "GRANT UPDATE (held_minor) ON accounts TO remit_app",
)

# One hold for each transfer that may be reversed. Rows change only under the lock of their account.
HOLDS = (
    """
    CREATE TABLE holds (
        transfer_id  text PRIMARY KEY REFERENCES transfers (id),
        account_id   text NOT NULL REFERENCES accounts (id),
        amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
        held_at      timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "CREATE INDEX holds_by_account ON holds (account_id)",
    "GRANT SELECT, INSERT, UPDATE (amount_minor), DELETE ON holds TO remit_app",
)

# The same table as NEXT_DISPUTE_STATE in disputes/dispute.py. The objection and the ruling never change.
DISPUTES = (
    """
    CREATE OR REPLACE FUNCTION refuse_illegal_dispute() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT (CASE OLD.state
            WHEN 'open' THEN NEW.state IN ('open', 'reversing', 'rejected', 'expired')
            WHEN 'reversing' THEN NEW.state IN ('reversing', 'reversed', 'reversal_failed')
            WHEN 'reversal_failed' THEN NEW.state = 'reversed'
            ELSE false END) THEN
            RAISE EXCEPTION 'dispute % may not go from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        IF (OLD.id, OLD.transfer_id, OLD.payer_id, OLD.payee_id, OLD.reason, OLD.deadline, OLD.created_at)
            IS DISTINCT FROM
            (NEW.id, NEW.transfer_id, NEW.payer_id, NEW.payee_id, NEW.reason, NEW.deadline, NEW.created_at)
            OR (OLD.ruling IS NOT NULL AND
                (OLD.ruling, OLD.amount_minor, OLD.decided_by, OLD.decided_reason, OLD.decided_at) IS DISTINCT FROM
                (NEW.ruling, NEW.amount_minor, NEW.decided_by, NEW.decided_reason, NEW.decided_at)) THEN
            RAISE EXCEPTION 'dispute % keeps what it was opened with and what was ruled', OLD.id
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE INDEX disputes_reversal_failed ON disputes (reversal_transfer_id)
        WHERE state = 'reversal_failed' AND reversal_transfer_id IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in (*HELD, *HOLDS, *DISPUTES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
