"""Many transfers in one transaction: workers may write a transfer in its final state, with its events and records."""

from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

# A new transfer stands at its beginning, or it begins and ends in one transaction. It is never written half-way.
ONLY_WHOLE = (
    """
    CREATE OR REPLACE FUNCTION refuse_beginning_in_between() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'transfer % may not begin as %', NEW.id, NEW.state USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER legal_beginning BEFORE INSERT ON transfers
        FOR EACH ROW WHEN (NEW.state NOT IN ('initiated', 'completed', 'failed') OR NEW.attempt <> 1
            AND NEW.state <> 'initiated')
        EXECUTE FUNCTION refuse_beginning_in_between()
    """,
)

# For each row these tell of a beginning. `record_bulk_transfers` tells of those that have ended, all at once: called
# for each row, the events would cost more than the postings.
TRIGGERS = (
    """
    CREATE OR REPLACE TRIGGER emitted_opening AFTER INSERT ON transfers
        FOR EACH ROW WHEN (NEW.state = 'initiated') EXECUTE FUNCTION event_of_transfer()
    """,
    """
    CREATE OR REPLACE TRIGGER audited_opening AFTER INSERT ON transfers
        FOR EACH ROW WHEN (NEW.state = 'initiated') EXECUTE FUNCTION audit_transfer()
    """,
)

# The same events and records, in the same order, as `event_of_transfer` and `audit_transfer` write for one transfer
# after the other. The ids of events are drawn in this order, under the locks of the accounts.
RECORD = """
CREATE OR REPLACE FUNCTION record_bulk_transfers(transfer_ids text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    cause jsonb := nullif(current_setting('remit.cause', true), '')::jsonb;
BEGIN
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, account_version, audience, data,
        request_id, occurred_at)
    SELECT 'transfer.' || told.state, t.id,
        CASE told.leg WHEN 'credit' THEN t.destination_account_id ELSE t.source_account_id END,
        e.account_id, e.version,
        CASE WHEN a.owner_id <> t.owner_id THEN ARRAY[t.owner_id, a.owner_id] ELSE ARRAY[t.owner_id] END,
        jsonb_build_object(
            'transfer', jsonb_build_object(
                'id', t.id, 'kind', t.kind, 'state', told.state, 'attempt', t.attempt, 'owner_id', t.owner_id,
                'source_account_id', t.source_account_id, 'destination_account_id', t.destination_account_id,
                'amount', t.amount_minor, 'currency', t.currency, 'transaction_id', t.transaction_id,
                'metadata', t.metadata, 'reverses_transfer_id', t.reverses_transfer_id,
                'failure', CASE WHEN told.state = 'failed' THEN jsonb_build_object('code', t.failure_code,
                    'message', t.failure_message, 'side', t.failure_side) END),
            'entry', CASE WHEN e.account_id IS NOT NULL THEN jsonb_build_object(
                'account_id', e.account_id, 'owner_id', a.owner_id, 'leg', e.leg,
                'amount', e.amount_minor, 'balance_before', e.balance_before,
                'balance_after', e.balance_after, 'version', e.version) END),
        coalesce(cause ->> 'request_id', t.request_id),
        CASE told.state WHEN 'initiated' THEN t.created_at WHEN 'debited' THEN e.recorded_at ELSE t.updated_at END
    FROM unnest(transfer_ids) WITH ORDINALITY AS asked (id, place)
    JOIN public.transfers t ON t.id = asked.id
    JOIN (VALUES (1, 'initiated', NULL, 'completed'), (2, 'debited', 'debit', 'completed'),
            (3, 'completed', 'credit', 'completed'), (1, 'initiated', NULL, 'failed'), (2, 'failed', NULL, 'failed'))
        AS told (number, state, leg, ended_as) ON told.ended_as = t.state
    LEFT JOIN public.entries e ON e.transfer_id = t.id AND e.attempt = t.attempt AND e.leg = told.leg
    LEFT JOIN public.accounts a ON a.id = e.account_id
    ORDER BY asked.place, told.number;

    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, workflow_id, code, reason, before,
        after, request_id, address)
    SELECT 'transfer.' || told.state, CASE told.state WHEN 'failed' THEN 'refused' ELSE 'done' END, t.id,
        coalesce(cause ->> 'actor_id', CASE told.number WHEN 1 THEN t.owner_id END), t.id, t.workflow_id,
        CASE told.state WHEN 'failed' THEN t.failure_code END, CASE told.state WHEN 'failed' THEN t.failure_message END,
        CASE WHEN told.before IS NOT NULL THEN jsonb_build_object('state', told.before, 'attempt', t.attempt) END,
        jsonb_build_object('state', told.state, 'attempt', t.attempt, 'kind', t.kind),
        coalesce(cause ->> 'request_id', t.request_id), cause ->> 'address'
    FROM unnest(transfer_ids) WITH ORDINALITY AS asked (id, place)
    JOIN public.transfers t ON t.id = asked.id
    JOIN (VALUES (1, 'initiated', NULL, 'completed'), (2, 'debited', 'initiated', 'completed'),
            (3, 'completed', 'debited', 'completed'), (1, 'initiated', NULL, 'failed'),
            (2, 'failed', 'initiated', 'failed'))
        AS told (number, state, before, ended_as) ON told.ended_as = t.state
    ORDER BY asked.place, told.number;
END $$
"""

GRANTS = (
    """
    GRANT INSERT (state, failure_code, failure_message, failure_side, created_at, updated_at, completed_at, screened_by)
        ON transfers TO remit_worker
    """,
    "REVOKE EXECUTE ON FUNCTION record_bulk_transfers FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION record_bulk_transfers TO remit_worker",
)


def upgrade() -> None:
    for statement in (*ONLY_WHOLE, *TRIGGERS, RECORD, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
