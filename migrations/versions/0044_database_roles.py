"""A role for workers, which alone may move money, and one for auditors. The API's role may ask for transfers only."""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

# As remit_app: the roles may exist already, and in production `deploy/postgres/databases.sql` has made them. Whoever
# migrates may become a worker, as they may become the API. A worker may do what the API may: a later table's grants to
# remit_app are for both.
ROLES = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['remit_worker', 'remit_auditor'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role % is missing: run deploy/postgres/databases.sql first', name
                    USING ERRCODE = 'insufficient_privilege';
        END;
    END LOOP;
    IF NOT pg_has_role('remit_worker', 'remit_app', 'MEMBER') THEN
        GRANT remit_app TO remit_worker;
    END IF;
    IF NOT pg_has_role(current_user, 'remit_worker', 'MEMBER') THEN
        EXECUTE format('GRANT remit_worker TO %I', current_user);
    END IF;
END $$
"""

# The API asks for a transfer: it writes the order and its key, and ends an order that took nothing. All that a posting
# writes is for workers: the posting and its entry, the account's balance, version, head and counters, and what
# screening found. A new account begins empty, and a new transfer at its beginning: their columns have no other value.
WORKERS_ALONE = (
    "REVOKE INSERT ON postings, entries, verdicts, case_flags FROM remit_app",
    "GRANT INSERT ON postings, entries, verdicts, case_flags TO remit_worker",
    """
    REVOKE UPDATE (balance_minor, version, head_hash, spent_on, spent_day_minor, spent_month_minor) ON accounts
        FROM remit_app
    """,
    """
    GRANT UPDATE (balance_minor, version, head_hash, spent_on, spent_day_minor, spent_month_minor) ON accounts
        TO remit_worker
    """,
    "REVOKE UPDATE (screened_by) ON transfers FROM remit_app",
    "GRANT UPDATE (screened_by) ON transfers TO remit_worker",
    "REVOKE INSERT ON accounts, transfers FROM remit_app",
    """
    GRANT INSERT (id, owner_id, currency, head_hash, name, overdraft_minor, owner_verified) ON accounts TO remit_app
    """,
    """
    GRANT INSERT (id, owner_id, idempotency_key, fingerprint, kind, source_account_id, destination_account_id,
        amount_minor, currency, note, transaction_id, reverses_transfer_id, metadata, all_that_is_left, workflow_id,
        attempt, request_id) ON transfers TO remit_app
    """,
    # Only workers seal the trails and drop their old months.
    "REVOKE INSERT ON trail_seals FROM remit_app",
    "GRANT INSERT ON trail_seals TO remit_worker",
    "REVOKE UPDATE (sealed_through, waiting_through, waiting_xid) ON trail_positions FROM remit_app",
    "GRANT UPDATE (sealed_through, waiting_through, waiting_xid) ON trail_positions TO remit_worker",
    "REVOKE EXECUTE ON FUNCTION make_trail_months, drop_trail_month FROM remit_app",
    "GRANT EXECUTE ON FUNCTION make_trail_months, drop_trail_month TO remit_worker",
)

# A state that needs a posting is for those who may post.
STATES = """
CREATE OR REPLACE FUNCTION refuse_illegal_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (CASE OLD.state
        WHEN 'initiated' THEN NEW.state IN ('in_review', 'debited', 'failed', 'cancelled')
        WHEN 'in_review' THEN NEW.state IN ('debited', 'failed', 'cancelled')
        WHEN 'debited' THEN NEW.state IN ('completed', 'compensated')
        WHEN 'failed' THEN NEW.state = 'initiated' AND NEW.attempt = OLD.attempt + 1
        WHEN 'compensated' THEN NEW.state = 'initiated' AND NEW.attempt = OLD.attempt + 1
        ELSE false
    END) OR (NEW.state <> 'initiated' AND NEW.attempt <> OLD.attempt) THEN
        RAISE EXCEPTION 'transfer % may not go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF current_user = 'remit_app' AND NEW.state IN ('debited', 'completed', 'compensated') THEN
        RAISE EXCEPTION 'transfer % becomes % by the posting of a worker only', OLD.id, NEW.state
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""

# As of before, and for workers too: they have the grants of remit_app.
TWO_ADMINS = """
CREATE OR REPLACE FUNCTION refuse_lone_grant() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    raised boolean := NEW.role <> 'customer';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.role = OLD.role THEN
            RETURN NEW;
        END IF;
        raised := OLD.role = 'customer' OR NEW.role = 'admin';
        NEW.role_since := clock_timestamp();
    END IF;
    IF raised AND current_user IN ('remit_app', 'remit_worker') AND (TG_OP = 'INSERT' OR (
        SELECT count(DISTINCT a.actor_id) FROM staff_actions a
        WHERE a.subject = NEW.id AND a.action IN ('request_role', 'grant_role') AND a.asked ->> 'role' = NEW.role
            AND a.actor_role = 'admin' AND a.actor_id <> NEW.id AND a.recorded_at > OLD.role_since
            AND NOT EXISTS (
                SELECT FROM staff_actions v
                WHERE v.subject = NEW.id AND v.action = 'verify_email' AND v.actor_id = a.actor_id)
    ) < 2) THEN
        RAISE EXCEPTION 'customer % becomes % only by two admins', NEW.id, NEW.role
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""

# Auditors see what moved, who decided it and what audits found: no name, address, note, message, key or secret. They
# have no default grants, so a later table is closed to them until a migration opens it.
AUDITORS = (
    "GRANT USAGE ON SCHEMA public TO remit_auditor",
    """
    GRANT SELECT ON postings, entries, holds, account_snapshots, entry_totals, audits, audited_heads, settled_totals,
        settled_transfers, totals_position, current_totals, current_transfers, staff_actions, staff_action_outcomes,
        rebuilds, rebuild_findings, trail_seals, trail_positions, alembic_version TO remit_auditor
    """,
    """
    GRANT SELECT (transfer_id, attempt, state, failure_code, failure_side, ended_at) ON attempts TO remit_auditor
    """,
    """
    GRANT SELECT (transfer_id, attempt, reason, state_before, state_after, recorded_at) ON abandonments
        TO remit_auditor
    """,
    """
    GRANT SELECT (id, owner_id, currency, status, frozen, tier, balance_minor, held_minor, overdraft_minor, version,
        head_hash, number, created_at, spent_on, spent_day_minor, spent_month_minor, owner_verified) ON accounts
        TO remit_auditor
    """,
    """
    GRANT SELECT (id, owner_id, fingerprint, kind, source_account_id, destination_account_id, amount_minor, currency,
        transaction_id, reverses_transfer_id, all_that_is_left, state, attempt, failure_code, failure_side, created_at,
        updated_at, completed_at, screened_by) ON transfers TO remit_auditor
    """,
    """
    GRANT SELECT (id, recorded_at, kind, outcome, subject, actor_id, transfer_id, code, reason, before, after,
        request_id) ON audit_records TO remit_auditor
    """,
    "GRANT SELECT (id, role, role_since, verification, created_at, disabled_at) ON customers TO remit_auditor",
)


def upgrade() -> None:
    for statement in (ROLES, *WORKERS_ALONE, STATES, TWO_ADMINS, *AUDITORS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
