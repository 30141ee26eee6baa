-- What must hold of batches. $1: their ids. As in `invariants.sql`, each row of the result is one thing that does not.
--
-- A failed item's transfer may be tried again later as a single, so that more of a batch's transfers are completed than
-- were when it was posted: its counts are of that time. A customer may take an item's key before or after the batch
-- does, so whose a transfer is says `workflow_id`: transfers that a batch has posted name the batch's.
WITH wanted AS MATERIALIZED (SELECT * FROM batches WHERE id = ANY ($1::text[])),
counted_chunks AS (
    SELECT b.id, coalesce(sum(c.lines), 0) AS lines, coalesce(sum(c.completed), 0) AS completed,
        coalesce(sum(c.failed), 0) AS failed, coalesce(sum(c.singles), 0) AS singles,
        count(c.number) AS chunks, coalesce(max(c.number), 0) AS last
    FROM wanted b LEFT JOIN batch_chunks c ON c.batch_id = b.id GROUP BY b.id
),
items AS MATERIALIZED (
    SELECT b.id AS batch_id, i.line, i.outcome, i.line <= b.posted AS is_posted, t.id AS transfer_id, t.state,
        t.attempt, t.workflow_id IS NOT DISTINCT FROM 'batch/' || b.id AS is_of_batch,
        (t.kind, t.owner_id, t.idempotency_key, t.source_account_id, t.destination_account_id, t.amount_minor,
            t.currency, t.note, t.transaction_id) IS NOT DISTINCT FROM
            ('transfer', b.owner_id, 'batch/' || b.id || '/' || i.line, i.source_account_id, i.destination_account_id,
            i.amount_minor, i.currency, i.note, i.reference) AS is_same
    FROM wanted b JOIN batch_items i ON i.batch_id = b.id LEFT JOIN transfers t ON t.id = i.transfer_id
),
counted_items AS (
    SELECT b.id, count(i.line) AS items, coalesce(max(i.line), 0) AS last,
        count(*) FILTER (WHERE i.outcome = 'single') AS singles,
        count(*) FILTER (WHERE i.outcome = 'refused') AS refused,
        count(*) FILTER (WHERE i.outcome IS NOT NULL AND NOT i.is_posted) AS too_early,
        count(*) FILTER (WHERE i.outcome IS NULL AND i.is_posted) AS own,
        count(*) FILTER (WHERE i.outcome IS NULL AND i.is_posted AND i.state = 'completed') AS completed,
        count(*) FILTER (WHERE i.outcome IS NULL AND i.is_posted AND i.state = 'completed' AND i.attempt = 1) AS at_once
    FROM wanted b LEFT JOIN items i ON i.batch_id = b.id GROUP BY b.id
)
SELECT 'batch_counts_chunks' AS invariant, b.id AS subject,
    format('%s posted: %s completed, %s failed, %s singles; %s chunks up to number %s have %s: %s, %s, %s', b.posted,
        b.completed, b.failed, b.singles, c.chunks, c.last, c.lines, c.completed, c.failed, c.singles) AS detail
FROM wanted b JOIN counted_chunks c USING (id)
WHERE (b.posted, b.completed, b.singles, c.chunks) <> (c.lines, c.completed, c.singles, c.last)
    OR b.failed <> CASE b.state WHEN 'refused' THEN b.failed ELSE c.failed END

UNION ALL
SELECT 'batch_counts_items', b.id,
    format('%s, %s of %s posted: %s completed, %s failed, %s singles; of %s items up to line %s, %s have a transfer, %s '
        'of them completed, %s are refused and %s singles', b.state, b.posted, b.total, b.completed, b.failed, b.singles,
        c.items, c.last, c.own, c.completed, c.refused, c.singles)
FROM wanted b JOIN counted_items c USING (id)
WHERE (c.items, c.last, c.singles) <> (b.total, b.total, b.singles)
    OR b.completed NOT BETWEEN c.at_once AND c.completed
    OR CASE b.state WHEN 'refused' THEN b.failed <> c.refused OR b.posted > 0
        ELSE b.failed <> c.own - b.completed + c.refused OR c.too_early > 0 END

UNION ALL
SELECT 'batch_item_has_transfer', batch_id || ' line ' || line,
    format('%s; its transfer is %s', coalesce(outcome, CASE WHEN is_posted THEN 'posted' ELSE 'not posted' END),
        CASE WHEN transfer_id IS NULL THEN 'missing' WHEN NOT is_same THEN state || ', and another one'
            ELSE state || ', attempt ' || attempt END)
FROM items
WHERE CASE
    WHEN outcome IS NULL AND is_posted
        THEN NOT is_same OR attempt = 1 AND state IN ('initiated', 'in_review', 'debited')
    WHEN outcome = 'single' THEN transfer_id IS NOT NULL AND NOT is_same
    ELSE transfer_id IS NOT NULL AND is_of_batch END
