"""No month of events is dropped while an endpoint is still to get one of them."""

from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

# As before, and a month also stays for deliveries that wait or are held. Those have an index of their own, and there
# are few of them behind 90 days. A test is no event: its position is a time, far behind every other.
DROP_MONTH = """
CREATE OR REPLACE FUNCTION drop_event_month(kept_days integer) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '100ms' SET timezone = 'UTC'
AS $$
DECLARE
    part text;
    newest bigint;
    unnumbered boolean;
BEGIN
    SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.outbox_events'::regclass AND c.relname ~ '^outbox_events_[0-9]{4}_[0-9]{2}$'
    ORDER BY c.relname LIMIT 1;
    IF part IS NULL OR to_date(right(part, 7), 'YYYY_MM') + interval '1 month'
        > now() - make_interval(days => greatest(kept_days, 7)) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT coalesce(max(position), 0), coalesce(bool_or(position IS NULL), false) FROM public.%I', part)
        INTO newest, unnumbered;
    IF unnumbered OR EXISTS (SELECT FROM public.sinks s WHERE s.position < newest) THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM public.deliveries d WHERE d.state = 'pending' AND d.position BETWEEN 1 AND newest) THEN
        RETURN false;
    END IF;
    UPDATE public.event_head SET dropped_through = greatest(dropped_through, newest);
    EXECUTE format('DROP TABLE public.%I', part);
    RETURN true;
END $$
"""


def upgrade() -> None:
    op.execute(DROP_MONTH)
    # A letter whose event was dropped is sent as the letter kept it.
    op.execute("GRANT UPDATE (body) ON deliveries TO remit_app")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
