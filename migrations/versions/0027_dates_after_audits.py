"""No head passes an entry that a clean audit of its time did not find: it was posted later, with a false date."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Else whoever posts such an entry could move the head over it, and no later audit but a full one would look at it.
ADVANCE_HEADS = """
CREATE OR REPLACE FUNCTION advance_heads(account_ids text[], versions bigint[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH wanted AS MATERIALIZED (
        SELECT w.account_id, w.version AS upto, coalesce(h.version, 0) AS version,
            coalesce(h.balance_minor, 0) AS balance_minor,
            coalesce(h.hash, sha256(convert_to(w.account_id, 'UTF8'))) AS hash,
            coalesce((SELECT max(audited_until) FROM audits WHERE findings = 0), '-infinity') AS audited_until
        FROM unnest(account_ids, versions) AS w(account_id, version)
        LEFT JOIN audited_heads h ON h.account_id = w.account_id
        WHERE w.version > coalesce(h.version, 0)
    ),
    lines AS (
        SELECT e.account_id, e.version, e.balance_after, e.hash,
            e.version = w.version + row_number() OVER earlier
            AND e.recorded_at > w.audited_until
            AND e.balance_before = coalesce(lag(e.balance_after) OVER earlier, w.balance_minor)
            AND e.balance_after = e.balance_before + e.amount_minor
            AND e.hash = sha256(convert_to(concat_ws('|',
                encode(coalesce(lag(e.hash) OVER earlier, w.hash), 'hex'), e.account_id, e.version,
                'pst_' || substr(e.transfer_id, 5) || '_' || e.attempt || '_' || e.leg, e.amount_minor,
                e.balance_before, e.balance_after, (extract(epoch FROM e.recorded_at) * 1000000)::bigint), 'UTF8'))
                AS follows
        FROM wanted w JOIN entries e ON e.account_id = w.account_id AND e.version > w.version AND e.version <= w.upto
        WINDOW earlier AS (PARTITION BY e.account_id ORDER BY e.version)
    ),
    whole AS (
        SELECT account_id FROM lines GROUP BY account_id HAVING bool_and(follows)
    ),
    moved AS (
        INSERT INTO audited_heads (account_id, version, balance_minor, hash)
        SELECT l.account_id, l.version, l.balance_after, l.hash
        FROM lines l JOIN whole USING (account_id)
        JOIN wanted w ON w.account_id = l.account_id AND w.upto = l.version
        ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, balance_minor = excluded.balance_minor,
            hash = excluded.hash, audited_at = excluded.audited_at
            WHERE audited_heads.version < excluded.version
        RETURNING account_id
    )
    SELECT count(*) FROM moved
$$
"""


def upgrade() -> None:
    op.execute(ADVANCE_HEADS)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
