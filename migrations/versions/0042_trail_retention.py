"""Old months of the trails: dropped as a whole, once they are sealed, and never without a record of it."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

# The seals stay, so that the chain goes on. No caller gets rid of younger records than these.
DROP_MONTHS = """
CREATE FUNCTION drop_trail_months(of_trail text, kept_months integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '500ms' SET timezone = 'UTC'
AS $$
DECLARE
    sealed bigint;
    oldest_kept date;
    part text;
    first_day date;
    newest bigint;
    held bigint;
    dropped integer := 0;
BEGIN
    PERFORM pg_current_xact_id();
    SELECT sealed_through INTO STRICT sealed FROM public.trail_positions WHERE trail = of_trail;
    oldest_kept := date_trunc('month', now())
        - make_interval(months => greatest(kept_months, CASE of_trail WHEN 'audit_records' THEN 12 ELSE 1 END));
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = ('public.' || quote_ident(of_trail))::regclass
            AND c.relname ~ ('^' || of_trail || '_[0-9]{4}_[0-9]{2}$')
        ORDER BY c.relname
    LOOP
        first_day := to_date(right(part, 7), 'YYYY_MM');
        EXECUTE format('SELECT coalesce(max(id), 0), count(*) FROM public.%I', part) INTO newest, held;
        EXIT WHEN first_day >= oldest_kept OR newest > sealed;
        EXECUTE format('DROP TABLE public.%I', part);
        INSERT INTO public.audit_records (kind, outcome, subject, after)
        VALUES ('trail.month_dropped', 'done', of_trail,
            jsonb_build_object('month', first_day, 'records', held, 'last_id', newest));
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$
"""


def upgrade() -> None:
    op.execute(DROP_MONTHS)
    op.execute("REVOKE EXECUTE ON FUNCTION drop_trail_months FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION drop_trail_months TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
