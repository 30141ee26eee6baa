"""What accounts have sent, counted again from their entries: the counters of their rows must say the same."""

# For the accounts in `wanted`. A debit counts on the newest day of all debits until then: no clock that is set back
# brings a day back. One that was refunded counts for nothing. Entries have the order of their time, or nearly, so those
# of the month are behind the last one from two days before it. The transfers' index by source finds accounts that never
# sent anything, however many entries they have.
SPENDING = """
    SELECT w.account_id, sums.spent_on, coalesce(sums.day_minor, 0)::bigint AS spent_day_minor,
        coalesce(sums.month_minor, 0)::bigint AS spent_month_minor
    FROM wanted w
    LEFT JOIN LATERAL (
        SELECT e.version, e.recorded_at AT TIME ZONE 'UTC' AS debited_at
        FROM entries e JOIN transfers t ON t.id = e.transfer_id
        WHERE e.account_id = w.account_id AND e.leg = 'debit' AND t.kind IN ('transfer', 'withdrawal')
            AND EXISTS (
                SELECT FROM transfers o
                WHERE o.source_account_id = w.account_id AND o.kind IN ('transfer', 'withdrawal')
            )
        ORDER BY e.version DESC LIMIT 1
    ) newest ON true
    LEFT JOIN LATERAL (
        SELECT e.version FROM entries e
        WHERE e.account_id = w.account_id AND e.version < newest.version
            AND e.recorded_at < (date_trunc('month', newest.debited_at) - interval '2 days') AT TIME ZONE 'UTC'
        ORDER BY e.version DESC LIMIT 1
    ) earlier ON true
    LEFT JOIN LATERAL (
        SELECT max(newest_day) AS spent_on,
            sum(amount_minor) FILTER (WHERE counted_on = newest_day) AS day_minor,
            sum(amount_minor) FILTER (
                WHERE date_trunc('month', counted_on::timestamp) = date_trunc('month', newest_day::timestamp)
            ) AS month_minor
        FROM (
            SELECT CASE WHEN was_refunded THEN 0 ELSE amount_minor END AS amount_minor,
                max(day) OVER (ORDER BY version) AS counted_on, max(day) OVER () AS newest_day
            FROM (
                SELECT e.version, -e.amount_minor AS amount_minor, (e.recorded_at AT TIME ZONE 'UTC')::date AS day,
                    EXISTS (
                        SELECT FROM postings p
                        WHERE (p.transfer_id, p.attempt, p.leg) = (e.transfer_id, e.attempt, 'refund')
                    ) AS was_refunded
                FROM entries e JOIN transfers t ON t.id = e.transfer_id
                WHERE e.account_id = w.account_id AND e.version > coalesce(earlier.version, 0)
                    AND e.version <= newest.version AND e.leg = 'debit' AND t.kind IN ('transfer', 'withdrawal')
            ) sent
        ) counted
    ) sums ON true
"""
