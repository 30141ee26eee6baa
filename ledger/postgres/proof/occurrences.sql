-- What must hold of occurrences of standing orders. $1, $2: their orders and dates. As in `invariants.sql`, each row of
-- the result is one thing that does not.
--
-- The key is unique in the books, and names the date: so no date has two transfers, and no transfer two dates.
SELECT 'occurrence_has_transfer' AS invariant, c.order_id || ' ' || c.date AS subject,
    format('%s, %s %s; its transfer is a %s %s of %s %s by %s under the key %s', c.state, c.amount_minor, c.currency,
        coalesce(t.state, 'missing'), t.kind, t.amount_minor, t.currency, t.owner_id, t.idempotency_key) AS detail
FROM unnest($1::text[], $2::date[]) AS wanted (order_id, date)
JOIN standing_order_occurrences c ON (c.order_id, c.date) = (wanted.order_id, wanted.date)
LEFT JOIN standing_orders o ON o.id = c.order_id
LEFT JOIN transfers t ON t.id = c.transfer_id
WHERE CASE c.state
    WHEN 'paid' THEN (t.state, t.kind, t.owner_id, t.idempotency_key, t.source_account_id, t.destination_account_id,
            t.amount_minor, t.currency) IS DISTINCT FROM
        ('completed', 'transfer', o.owner_id, 'standing/' || c.order_id || '/' || c.date, c.source_account_id,
            c.destination_account_id, c.amount_minor, c.currency)
    WHEN 'under_way' THEN false
    WHEN 'failed' THEN false
    ELSE c.transfer_id IS NOT NULL END
