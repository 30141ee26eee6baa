"""What each account has sent in a day and in a month, in its row: its limits are decided with what is locked anyway."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# `spent_on` is the newest day (UTC) with a debit that counts. A counter never goes below zero, and never stops a step.
COUNTERS = (
    """
    ALTER TABLE accounts ADD COLUMN spent_on date,
        ADD COLUMN spent_day_minor bigint NOT NULL DEFAULT 0,
        ADD COLUMN spent_month_minor bigint NOT NULL DEFAULT 0
    """,
    "GRANT UPDATE (spent_on, spent_day_minor, spent_month_minor) ON accounts TO remit_app",
    """
    ALTER TABLE audited_heads ADD COLUMN spent_on date,
        ADD COLUMN spent_day_minor bigint NOT NULL DEFAULT 0,
        ADD COLUMN spent_month_minor bigint NOT NULL DEFAULT 0
    """,
)

# An audit that has counted again what accounts have sent notes it, so that the next one sees what was changed since.
NOTE_SPENDING = (
    """
    CREATE FUNCTION note_spending(account_ids text[]) RETURNS void
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    AS $$
        UPDATE audited_heads h SET spent_on = a.spent_on, spent_day_minor = a.spent_day_minor,
            spent_month_minor = a.spent_month_minor
        FROM accounts a
        WHERE h.account_id = ANY (account_ids) AND a.id = h.account_id AND a.version = h.version
            AND (h.spent_on, h.spent_day_minor, h.spent_month_minor) IS DISTINCT FROM
                (a.spent_on, a.spent_day_minor, a.spent_month_minor)
    $$
    """,
    "REVOKE EXECUTE ON FUNCTION note_spending FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION note_spending TO remit_app",
)

# What was sent this month before there were counters.
COUNT_BEFORE = """
    WITH sent AS (
        SELECT e.account_id, -e.amount_minor AS amount_minor, (e.recorded_at AT TIME ZONE 'UTC')::date AS day,
            EXISTS (
                SELECT FROM postings p WHERE (p.transfer_id, p.attempt, p.leg) = (e.transfer_id, e.attempt, 'refund')
            ) AS refunded
        FROM entries e JOIN transfers t ON t.id = e.transfer_id
        WHERE e.leg = 'debit' AND t.kind IN ('transfer', 'withdrawal')
    ),
    newest AS (SELECT account_id, max(day) AS day FROM sent GROUP BY account_id),
    summed AS (
        SELECT account_id, n.day,
            coalesce(sum(s.amount_minor) FILTER (WHERE s.day = n.day AND NOT s.refunded), 0) AS day_minor,
            coalesce(sum(s.amount_minor) FILTER (WHERE NOT s.refunded), 0) AS month_minor
        FROM newest n JOIN sent s USING (account_id)
        WHERE date_trunc('month', s.day::timestamp) = date_trunc('month', n.day::timestamp)
        GROUP BY account_id, n.day
    )
    UPDATE accounts a SET spent_on = day, spent_day_minor = day_minor, spent_month_minor = month_minor
    FROM summed WHERE summed.account_id = a.id
"""


def upgrade() -> None:
    for statement in (*COUNTERS, *NOTE_SPENDING, COUNT_BEFORE):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
