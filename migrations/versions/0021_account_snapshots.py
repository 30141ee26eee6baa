"""Snapshots of long accounts: the state and the totals of an account at every so many entries, for quick reads.

Nothing depends on them: without any, the same answers are read from all entries. The steps that move money write none.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# An amount that came back after its debit counts on the side that it left from, with the other sign.
SNAPSHOTS = """
CREATE TABLE account_snapshots (
    account_id         text NOT NULL REFERENCES accounts (id),
    version            bigint NOT NULL CHECK (version >= 1),
    balance_minor      bigint NOT NULL,
    hash               bytea NOT NULL CHECK (octet_length(hash) = 32),
    recorded_at        timestamptz NOT NULL,
    deposits           bigint NOT NULL CHECK (deposits >= 0),
    deposited_minor    bigint NOT NULL,
    withdrawals        bigint NOT NULL CHECK (withdrawals >= 0),
    withdrawn_minor    bigint NOT NULL,
    incoming           bigint NOT NULL CHECK (incoming >= 0),
    incoming_minor     bigint NOT NULL,
    outgoing           bigint NOT NULL CHECK (outgoing >= 0),
    outgoing_minor     bigint NOT NULL,
    PRIMARY KEY (account_id, version),
    CHECK (balance_minor = deposited_minor - withdrawn_minor + incoming_minor - outgoing_minor)
)
"""

# What one entry adds to each total. LIMIT, so that transfers are always found by their ids: nobody reads all of them.
ENTRY_TOTALS = """
CREATE VIEW entry_totals WITH (security_invoker) AS
SELECT e.account_id, e.version, e.amount_minor, e.balance_after, e.recorded_at, e.hash,
    CASE WHEN t.kind = 'deposit' THEN 1 ELSE 0 END AS deposits,
    CASE WHEN t.kind = 'deposit' THEN e.amount_minor ELSE 0 END AS deposited_minor,
    CASE WHEN t.kind <> 'withdrawal' THEN 0 WHEN e.leg = 'refund' THEN -1 ELSE 1 END AS withdrawals,
    CASE WHEN t.kind = 'withdrawal' THEN -e.amount_minor ELSE 0 END AS withdrawn_minor,
    CASE WHEN t.kind IN ('deposit', 'withdrawal') OR e.leg <> 'credit' THEN 0 ELSE 1 END AS incoming,
    CASE WHEN t.kind IN ('deposit', 'withdrawal') OR e.leg <> 'credit' THEN 0 ELSE e.amount_minor END
        AS incoming_minor,
    CASE WHEN t.kind IN ('deposit', 'withdrawal') OR e.leg = 'credit' THEN 0 WHEN e.leg = 'refund' THEN -1 ELSE 1 END
        AS outgoing,
    CASE WHEN t.kind IN ('deposit', 'withdrawal') OR e.leg = 'credit' THEN 0 ELSE -e.amount_minor END
        AS outgoing_minor
FROM entries e CROSS JOIN LATERAL (SELECT kind FROM transfers WHERE id = e.transfer_id LIMIT 1) t
"""

# Each snapshot adds the entries since the one before to its totals. Few at a time: an account with a long past catches
# up over several calls. Entries of an account become visible in the order of their versions, because each is written
# under the account's lock, so none can be missing below one that is seen.
TAKE = """
CREATE FUNCTION take_snapshots(account_ids text[], every integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
    WITH wanted AS MATERIALIZED (
        SELECT id, before, coalesce((before).version, 0) AS since,
            least(version - version % every, coalesce((before).version, 0) + greatest(every, 10000)) AS upto
        FROM (
            SELECT a.id, a.version, (
                SELECT s FROM account_snapshots s WHERE s.account_id = a.id ORDER BY s.version DESC LIMIT 1
            ) AS before
            FROM accounts a WHERE a.id = ANY (account_ids)
        ) newest
        WHERE version - version % every > coalesce((before).version, 0)
    ),
    lines AS (
        SELECT e.account_id, e.version, e.balance_after, e.hash, e.recorded_at, w.before,
            sum(e.deposits) OVER earlier AS deposits, sum(e.deposited_minor) OVER earlier AS deposited_minor,
            sum(e.withdrawals) OVER earlier AS withdrawals, sum(e.withdrawn_minor) OVER earlier AS withdrawn_minor,
            sum(e.incoming) OVER earlier AS incoming, sum(e.incoming_minor) OVER earlier AS incoming_minor,
            sum(e.outgoing) OVER earlier AS outgoing, sum(e.outgoing_minor) OVER earlier AS outgoing_minor
        FROM wanted w JOIN entry_totals e ON e.account_id = w.id AND e.version > w.since AND e.version <= w.upto
        WINDOW earlier AS (PARTITION BY e.account_id ORDER BY e.version)
    ),
    taken AS (
        INSERT INTO account_snapshots (account_id, version, balance_minor, hash, recorded_at, deposits, deposited_minor,
            withdrawals, withdrawn_minor, incoming, incoming_minor, outgoing, outgoing_minor)
        SELECT account_id, version, balance_after, hash, recorded_at,
            coalesce((before).deposits, 0) + deposits, coalesce((before).deposited_minor, 0) + deposited_minor,
            coalesce((before).withdrawals, 0) + withdrawals, coalesce((before).withdrawn_minor, 0) + withdrawn_minor,
            coalesce((before).incoming, 0) + incoming, coalesce((before).incoming_minor, 0) + incoming_minor,
            coalesce((before).outgoing, 0) + outgoing, coalesce((before).outgoing_minor, 0) + outgoing_minor
        FROM lines WHERE version % every = 0
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT count(*) FROM taken
$$
"""

# Whose entries are new: the accounts of postings since the last look. What is recorded later with an earlier time is
# found when the account moves money again.
LOOK = (
    """
    CREATE TABLE snapshots_position (
        one          boolean PRIMARY KEY DEFAULT true CHECK (one),
        looked_until timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "INSERT INTO snapshots_position DEFAULT VALUES",
    """
    CREATE FUNCTION take_due_snapshots(every integer) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        SET plan_cache_mode = force_custom_plan
    AS $$
    DECLARE
        since timestamptz;
        upto  timestamptz;
        due   text[];
    BEGIN
        SELECT looked_until INTO since FROM snapshots_position FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        upto := least(clock_timestamp() - interval '10 seconds', since + interval '5 minutes');
        IF upto <= since THEN
            RETURN false;
        END IF;
        SELECT array_agg(DISTINCT CASE p.leg WHEN 'debit' THEN p.debit_account_id ELSE p.credit_account_id END) INTO due
        FROM postings p WHERE p.recorded_at > since AND p.recorded_at <= upto;
        PERFORM take_snapshots(due, every);
        UPDATE snapshots_position SET looked_until = upto;
        RETURN upto < clock_timestamp() - interval '1 minute';
    END $$
    """,
)

GRANTS = (
    "REVOKE EXECUTE ON FUNCTION take_snapshots, take_due_snapshots FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION take_snapshots, take_due_snapshots TO remit_app",
    "GRANT SELECT ON account_snapshots, snapshots_position, entry_totals TO remit_app",
)


def upgrade() -> None:
    for statement in (SNAPSHOTS, ENTRY_TOTALS, TAKE, *LOOK, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
