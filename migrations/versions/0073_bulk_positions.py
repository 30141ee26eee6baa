"""Many transfers in one transaction number their own events: each is written once, not written and then changed."""

from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

# Called while the accounts are locked, and before the events are written. Whoever has locked the head gives out
# positions alone until its end, and what it numbered becomes visible with them: there is no gap, and a reader misses
# nothing. What these accounts have told before is visible by now and is numbered first, so an account's events keep the
# order of its changes. Where too many wait to be numbered, the sequencer numbers these as well.
BEGIN_NUMBERING = """
CREATE FUNCTION begin_numbering() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    at_once CONSTANT integer := 500;
BEGIN
    PERFORM FROM public.event_head FOR UPDATE;
    FOR attempt IN 1 .. 2 LOOP
        IF (public.number_events(at_once)).numbered < at_once THEN
            PERFORM set_config('remit.numbers_events', pg_current_xact_id()::text, true);
            RETURN;
        END IF;
    END LOOP;
END $$
"""

# The last position, in a transaction that gives them out itself; NULL in all others.
NUMBERED_THROUGH = """
CREATE FUNCTION numbered_through() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF current_setting('remit.numbers_events', true) = pg_current_xact_id_if_assigned()::text THEN
        RETURN (SELECT last FROM public.event_head FOR UPDATE);
    END IF;
    RETURN NULL;
END $$
"""

NOTE_NUMBERED = """
CREATE FUNCTION note_numbered(through bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF through IS NOT NULL THEN
        UPDATE public.event_head SET last = through;
        PERFORM pg_notify('remit_events', through::text);
    END IF;
END $$
"""

# The last two are for the functions below alone.
GRANTS = (
    "REVOKE EXECUTE ON FUNCTION begin_numbering, numbered_through, note_numbered FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION begin_numbering TO remit_worker",
)

EMIT_NOTIFICATIONS = """
CREATE OR REPLACE FUNCTION emit_notifications() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    through bigint := public.numbered_through();
    events_told integer;
BEGIN
    -- What this transaction has told since, as of an account that was flagged, comes before.
    WHILE through IS NOT NULL AND (public.number_events(500)).numbered > 0 LOOP
        through := public.numbered_through();
    END LOOP;
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, audience, data, request_id,
        position)
    SELECT 'notification.added', added.id, coalesce(added.account_id, added.customer_id), added.account_id,
        ARRAY[added.customer_id], to_jsonb(data),
        nullif(current_setting('remit.cause', true), '')::jsonb ->> 'request_id',
        through + row_number() OVER ()
    FROM added
    CROSS JOIN LATERAL (
        SELECT added.id, added.occasion, added.transfer_id, added.account_id, added.created_at
    ) AS notification
    CROSS JOIN LATERAL (SELECT notification) AS data
    WHERE added.read_at IS NULL;
    GET DIAGNOSTICS events_told = ROW_COUNT;
    PERFORM public.note_numbered(through + events_told);
    RETURN NULL;
END $$
"""

RECORD = """
CREATE OR REPLACE FUNCTION record_bulk_transfers(transfer_ids text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    cause jsonb := nullif(current_setting('remit.cause', true), '')::jsonb;
    through bigint := public.numbered_through();
    events_told integer;
BEGIN
    WITH t AS MATERIALIZED (
        SELECT asked.place, t.* FROM unnest(transfer_ids) WITH ORDINALITY AS asked (id, place)
        JOIN public.transfers t ON t.id = asked.id
    )
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, account_version, audience, data,
        request_id, occurred_at, position)
    SELECT 'transfer.' || told.state, t.id,
        CASE told.leg WHEN 'credit' THEN t.destination_account_id ELSE t.source_account_id END,
        e.account_id, e.version,
        CASE WHEN a.owner_id <> t.owner_id THEN ARRAY[t.owner_id, a.owner_id] ELSE ARRAY[t.owner_id] END,
        to_jsonb(data),
        coalesce(cause ->> 'request_id', t.request_id),
        CASE told.state WHEN 'initiated' THEN t.created_at WHEN 'debited' THEN e.recorded_at ELSE t.updated_at END,
        through + row_number() OVER (ORDER BY t.place, told.number)
    FROM t
    JOIN (VALUES (1, 'initiated', NULL, 'completed'), (2, 'debited', 'debit', 'completed'),
            (3, 'completed', 'credit', 'completed'), (1, 'initiated', NULL, 'failed'), (2, 'failed', NULL, 'failed'))
        AS told (number, state, leg, ended_as) ON told.ended_as = t.state
    LEFT JOIN public.entries e ON e.transfer_id = t.id AND e.attempt = t.attempt AND e.leg = told.leg
    LEFT JOIN public.accounts a ON a.id = e.account_id
    CROSS JOIN LATERAL (
        SELECT t.id, t.kind, told.state, t.attempt, t.owner_id, t.source_account_id, t.destination_account_id,
            t.amount_minor AS amount, t.currency, t.transaction_id, t.metadata, t.reverses_transfer_id,
            CASE WHEN told.state = 'failed' THEN jsonb_build_object('code', t.failure_code,
                'message', t.failure_message, 'side', t.failure_side) END AS failure
    ) AS transfer
    CROSS JOIN LATERAL (
        SELECT e.account_id, a.owner_id, e.leg, e.amount_minor AS amount, e.balance_before, e.balance_after, e.version
    ) AS entry
    CROSS JOIN LATERAL (SELECT transfer, CASE WHEN e.account_id IS NOT NULL THEN entry END AS entry) AS data
    ORDER BY t.place, told.number;
    GET DIAGNOSTICS events_told = ROW_COUNT;
    PERFORM public.note_numbered(through + events_told);

    WITH t AS MATERIALIZED (
        SELECT asked.place, t.*, jsonb_build_object('attempt', t.attempt) AS numbered,
            jsonb_build_object('attempt', t.attempt, 'kind', t.kind) AS described
        FROM unnest(transfer_ids) WITH ORDINALITY AS asked (id, place)
        JOIN public.transfers t ON t.id = asked.id
    )
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, workflow_id, code, reason, before,
        after, request_id, address)
    SELECT told.kind, told.outcome, t.id,
        coalesce(cause ->> 'actor_id', CASE told.number WHEN 1 THEN t.owner_id END), t.id, t.workflow_id,
        CASE told.outcome WHEN 'refused' THEN t.failure_code END,
        CASE told.outcome WHEN 'refused' THEN t.failure_message END,
        told.before || t.numbered, told.after || t.described,
        coalesce(cause ->> 'request_id', t.request_id), cause ->> 'address'
    FROM t
    JOIN (VALUES
            (1, 'transfer.initiated', 'done', NULL::jsonb, '{"state": "initiated"}'::jsonb, 'completed'),
            (2, 'transfer.debited', 'done', '{"state": "initiated"}', '{"state": "debited"}', 'completed'),
            (3, 'transfer.completed', 'done', '{"state": "debited"}', '{"state": "completed"}', 'completed'),
            (1, 'transfer.initiated', 'done', NULL, '{"state": "initiated"}', 'failed'),
            (2, 'transfer.failed', 'refused', '{"state": "initiated"}', '{"state": "failed"}', 'failed'))
        AS told (number, kind, outcome, before, after, ended_as) ON told.ended_as = t.state
    ORDER BY t.place, told.number;
END $$
"""


def upgrade() -> None:
    for statement in (BEGIN_NUMBERING, NUMBERED_THROUGH, NOTE_NUMBERED, *GRANTS, EMIT_NOTIFICATIONS, RECORD):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
