-- No parameters: what is due has an index of its own. As in `invariants.sql`, each row is one thing that does not hold.
SELECT 'nothing_due_of_stopped_order' AS invariant, c.order_id || ' ' || c.date AS subject,
    format('due at %s, and the order is %s', c.next_try_at, coalesce(o.state, 'missing')) AS detail
FROM standing_order_occurrences c LEFT JOIN standing_orders o ON o.id = c.order_id
WHERE c.state = 'due' AND (o.id IS NULL OR o.state IN ('paused', 'cancelled'))
