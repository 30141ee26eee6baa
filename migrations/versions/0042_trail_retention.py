"""Old months of the trails: dropped as a whole, once they are sealed, and never without a record of it."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

# The seals stay, so that the chain goes on. No caller gets rid of younger records than these. Everybody who writes a
# record waits for the lock of a drop, also who moves money: so it drops one month a call, reads nothing under the lock,
# and gives up soon.
DROP_MONTHS = """
CREATE FUNCTION drop_trail_month(of_trail text, kept_months integer) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '100ms' SET timezone = 'UTC'
AS $$
DECLARE
    sealed bigint;
    oldest_kept date;
    part text;
    first_day date;
    newest bigint;
    held bigint;
BEGIN
    PERFORM pg_current_xact_id();
    SELECT sealed_through INTO STRICT sealed FROM public.trail_positions WHERE trail = of_trail;
    oldest_kept := date_trunc('month', now())
        - make_interval(months => greatest(kept_months, CASE of_trail WHEN 'audit_records' THEN 12 ELSE 1 END));
    SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ('public.' || quote_ident(of_trail))::regclass
        AND c.relname ~ ('^' || of_trail || '_[0-9]{4}_[0-9]{2}$')
    ORDER BY c.relname LIMIT 1;
    first_day := to_date(right(part, 7), 'YYYY_MM');
    IF part IS NULL OR first_day >= oldest_kept THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT coalesce(max(id), 0) FROM public.%I', part) INTO newest;
    IF newest > sealed THEN
        RETURN false;
    END IF;
    SELECT coalesce(sum(records), 0) INTO held FROM public.trail_seals WHERE trail = of_trail AND month = first_day;
    EXECUTE format('DROP TABLE public.%I', part);
    INSERT INTO public.audit_records (kind, outcome, subject, after)
    VALUES ('trail.month_dropped', 'done', of_trail,
        jsonb_build_object('month', first_day, 'records', held, 'last_id', newest));
    RETURN true;
END $$
"""


def upgrade() -> None:
    op.execute(DROP_MONTHS)
    op.execute("REVOKE EXECUTE ON FUNCTION drop_trail_month FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION drop_trail_month TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
