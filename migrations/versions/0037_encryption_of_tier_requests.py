"""The number in a request for a higher tier may be encrypted anew, also after the request was closed."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

LEGAL = """
    CREATE OR REPLACE FUNCTION refuse_other_tier_request() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.state <> 'open'
            AND to_jsonb(NEW) - 'number_encrypted' IS DISTINCT FROM to_jsonb(OLD) - 'number_encrypted'
        THEN
            RAISE EXCEPTION 'tier request % is closed', OLD.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
"""


def upgrade() -> None:
    op.execute(LEGAL)
    op.execute("GRANT UPDATE (number_encrypted) ON tier_requests TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
