"""Running totals of the books: what is settled for good is counted once, what is newer is counted when it is asked for.

A row is settled once no transaction can add another one with its time or an earlier one. Nothing here is written by
the steps that move money.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE settled_totals (
        currency        text PRIMARY KEY,
        accounts        bigint NOT NULL,
        entries         bigint NOT NULL,
        customers_minor bigint NOT NULL,
        clearing_minor  bigint NOT NULL,
        world_minor     bigint NOT NULL
    )
    """,
    """
    CREATE TABLE settled_transfers (
        minute    timestamptz PRIMARY KEY,
        transfers bigint NOT NULL
    )
    """,
    # `counted_until`: what the totals hold. `settled_until`: what they may hold by now. The candidate becomes settled
    # once every transaction before `candidate_xid` has ended.
    """
    CREATE TABLE totals_position (
        one             boolean PRIMARY KEY DEFAULT true CHECK (one),
        counted_until   timestamptz NOT NULL,
        settled_until   timestamptz NOT NULL,
        candidate_until timestamptz,
        candidate_xid   bigint,
        CHECK (counted_until <= settled_until),
        CHECK ((candidate_until IS NULL) = (candidate_xid IS NULL))
    )
    """,
    "INSERT INTO totals_position (counted_until, settled_until) VALUES ('0001-01-02 UTC', '0001-01-02 UTC')",
)

# A plan for the period that is asked for: with an unknown one, PostgreSQL would expect a third of all rows and read the
# whole table. A stable function sees the snapshot of the statement that calls it.
PERIODS = (
    """
    CREATE FUNCTION totals_between(after timestamptz, upto timestamptz)
        RETURNS TABLE (currency text, accounts bigint, entries bigint, customers_minor bigint, clearing_minor bigint,
            world_minor bigint)
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
    AS $$
    BEGIN
        RETURN QUERY
        WITH sides AS (
            SELECT p.currency, p.credit_account_id AS account_id, p.amount_minor FROM postings p
            WHERE p.recorded_at > after AND p.recorded_at <= upto
            UNION ALL
            SELECT p.currency, p.debit_account_id, -p.amount_minor FROM postings p
            WHERE p.recorded_at > after AND p.recorded_at <= upto
        ),
        counted AS (
            SELECT s.currency, 0::bigint AS accounts, s.account_id NOT IN ('clearing', 'world') AS is_entry,
                s.account_id, s.amount_minor
            FROM sides s
            UNION ALL
            SELECT a.currency, 1, false, NULL, 0 FROM accounts a WHERE a.created_at > after AND a.created_at <= upto
        )
        SELECT c.currency, sum(c.accounts)::bigint, count(*) FILTER (WHERE c.is_entry),
            coalesce(sum(c.amount_minor) FILTER (WHERE c.is_entry), 0)::bigint,
            coalesce(sum(c.amount_minor) FILTER (WHERE c.account_id = 'clearing'), 0)::bigint,
            coalesce(sum(c.amount_minor) FILTER (WHERE c.account_id = 'world'), 0)::bigint
        FROM counted c GROUP BY c.currency;
    END $$
    """,
    """
    CREATE FUNCTION transfers_between(after timestamptz, upto timestamptz)
        RETURNS TABLE (minute timestamptz, transfers bigint)
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
    AS $$
    BEGIN
        RETURN QUERY
        SELECT date_trunc('minute', t.created_at), count(*) FROM transfers t
        WHERE t.created_at > after AND t.created_at <= upto GROUP BY 1;
    END $$
    """,
)

# What the books hold now, in the snapshot of whoever asks.
VIEWS = (
    """
    CREATE VIEW current_totals WITH (security_invoker) AS
    SELECT currency, sum(accounts)::bigint AS accounts, sum(entries)::bigint AS entries,
        sum(customers_minor)::bigint AS customers_minor, sum(clearing_minor)::bigint AS clearing_minor,
        sum(world_minor)::bigint AS world_minor
    FROM (
        SELECT * FROM settled_totals
        UNION ALL
        SELECT newer.* FROM totals_position p, totals_between(p.counted_until, 'infinity') newer
    ) both_parts
    GROUP BY currency
    """,
    """
    CREATE VIEW current_transfers WITH (security_invoker) AS
    SELECT minute, sum(transfers)::bigint AS transfers
    FROM (
        SELECT * FROM settled_transfers
        UNION ALL
        SELECT newer.* FROM totals_position p, transfers_between(p.counted_until, 'infinity') newer
    ) both_parts
    GROUP BY minute
    """,
)

# Settled: a transaction takes its number before it writes, and writes a time that is less than a minute old (the steps
# see to that). So a row with an earlier time than the candidate, which is five minutes old when it is noted, belongs
# to a transaction before the candidate's. The other four minutes are for clocks that are set back, and for a standby
# whose clock is behind.
SETTLE = """
CREATE FUNCTION settle_totals(most_transfers integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    place totals_position;
    noted timestamptz;
    upto  timestamptz;
BEGIN
    SELECT * INTO place FROM totals_position FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    noted := clock_timestamp() - interval '5 minutes';
    IF place.candidate_xid <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint THEN
        place.settled_until := greatest(place.settled_until, place.candidate_until);
        place.candidate_xid := NULL;
    END IF;
    -- A candidate of the future was noted in another cluster, from which these books were restored.
    IF place.candidate_xid IS NULL OR place.candidate_xid > pg_current_xact_id()::text::bigint THEN
        place.candidate_until := noted;
        place.candidate_xid := pg_current_xact_id()::text::bigint;
    END IF;
    SELECT created_at INTO upto FROM transfers WHERE created_at > place.counted_until
        ORDER BY created_at OFFSET most_transfers LIMIT 1;
    upto := least(coalesce(upto, place.settled_until), place.settled_until);
    IF upto > place.counted_until THEN
        INSERT INTO settled_totals SELECT * FROM totals_between(place.counted_until, upto)
        ON CONFLICT (currency) DO UPDATE SET
            accounts = settled_totals.accounts + excluded.accounts,
            entries = settled_totals.entries + excluded.entries,
            customers_minor = settled_totals.customers_minor + excluded.customers_minor,
            clearing_minor = settled_totals.clearing_minor + excluded.clearing_minor,
            world_minor = settled_totals.world_minor + excluded.world_minor;
        INSERT INTO settled_transfers SELECT * FROM transfers_between(place.counted_until, upto)
        ON CONFLICT (minute) DO UPDATE SET transfers = settled_transfers.transfers + excluded.transfers;
    END IF;
    UPDATE totals_position SET counted_until = upto, settled_until = place.settled_until,
        candidate_until = place.candidate_until, candidate_xid = place.candidate_xid;
    RETURN upto < place.settled_until;
END $$
"""

GRANTS = (
    "REVOKE EXECUTE ON FUNCTION settle_totals FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION settle_totals TO remit_app",
    "GRANT SELECT ON settled_totals, settled_transfers, totals_position TO remit_app",
    "GRANT SELECT ON current_totals, current_transfers TO remit_app",
)


def upgrade() -> None:
    for statement in (*TABLES, *PERIODS, *VIEWS, SETTLE, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
