-- What must hold of the books, always. Each row of a result is one thing that does not: no row, clean books.
-- Columns: invariant (which claim), subject (where), detail (expected against found).
--
-- Each section is one statement, and so one snapshot. `proof/sections.py` puts in front of it which part of the books it
-- looks at: `starts` and `lines` (accounts and their entries), `spending` (what accounts have sent), or `some_transfers`, `some_postings`, `some_entries` and
-- `some_keys`. A table's own name means all of its rows: use it only to look up what a row of the part refers to.

-- section: accounts
SELECT 'balance_is_fold' AS invariant, a.id AS subject,
    format('balance %s, version %s; its entries end at balance %s, version %s', a.balance_minor, a.version,
        coalesce(h.balance_after, 0), coalesce(h.version, 0)) AS detail
FROM starts s JOIN accounts a ON a.id = s.account_id LEFT JOIN heads h ON h.account_id = a.id
WHERE ((a.balance_minor, a.version) <> (coalesce(h.balance_after, 0), coalesce(h.version, 0))
        OR a.head_hash <> coalesce(h.hash, sha256(convert_to(a.id, 'UTF8'))))
    AND NOT EXISTS (SELECT FROM entries e WHERE e.account_id = a.id AND e.version > s.upto)

UNION ALL
SELECT 'not_negative', a.id, format('balance %s', a.balance_minor)
FROM starts s JOIN accounts a ON a.id = s.account_id
WHERE a.balance_minor < CASE a.owner_id WHEN 'cus_systemaaaaaaaaaaaaaaaaaaaa' THEN -a.overdraft_minor ELSE 0 END

UNION ALL
SELECT 'entries_without_gaps', account_id || ' version ' || version,
    format('version %s where %s was due; balance before %s where %s was due', version, expected_version,
        balance_before, expected_before)
FROM lines
WHERE version <> expected_version OR balance_before <> expected_before OR balance_after <> balance_before + amount_minor

UNION ALL
SELECT 'hash_chain', account_id || ' version ' || version, 'the entry, or the one before it, is not what was written'
FROM lines
WHERE hash <> sha256(convert_to(concat_ws('|',
    encode(previous_hash, 'hex'), account_id, version,
    'pst_' || substr(transfer_id, 5) || '_' || attempt || '_' || leg,
    amount_minor, balance_before, balance_after, (extract(epoch FROM recorded_at) * 1000000)::bigint), 'UTF8'))

UNION ALL
SELECT 'audited_head', d.account_id,
    format('an earlier audit found balance %s at version %s; now %s', d.balance_minor, d.version,
        CASE WHEN a.id IS NULL THEN 'the account is gone' WHEN e.version IS NULL THEN 'the entry is gone'
            ELSE format('it is %s, with hash %s', e.balance_after, encode(e.hash, 'hex')) END)
FROM starts s JOIN audited_heads d ON d.account_id = s.account_id LEFT JOIN accounts a ON a.id = s.account_id
LEFT JOIN entries e ON (e.account_id, e.version) = (d.account_id, d.version)
WHERE a.id IS NULL OR (e.balance_after, e.hash) IS DISTINCT FROM (d.balance_minor, d.hash)

-- A clean audit has verified every entry of its time. The times of both are minutes apart, whatever any clock does.
UNION ALL
SELECT 'entry_dated_before_audit', l.account_id || ' version ' || l.version,
    format('dated %s, but a clean audit of everything until %s found no such entry', l.recorded_at, c.audited_until)
FROM lines l JOIN (SELECT max(audited_until) AS audited_until FROM audits WHERE findings = 0) c
    ON l.recorded_at <= c.audited_until
LEFT JOIN audited_heads d ON d.account_id = l.account_id
WHERE l.version > coalesce(d.version, 0)

UNION ALL
SELECT 'entry_matches_posting', l.account_id || ' version ' || l.version,
    CASE WHEN p.id IS NULL THEN 'an entry without a posting'
        ELSE format('entry of %s, posting of %s', l.amount_minor, p.amount_minor) END
FROM lines l LEFT JOIN postings p USING (transfer_id, attempt, leg)
WHERE p.id IS NULL OR l.recorded_at <> p.recorded_at
    OR l.account_id <> CASE leg WHEN 'debit' THEN p.debit_account_id ELSE p.credit_account_id END
    OR l.amount_minor <> CASE leg WHEN 'debit' THEN -p.amount_minor ELSE p.amount_minor END

UNION ALL
SELECT 'entry_matches_account', e.account_id || ' version ' || e.version,
    format('a posting in %s, an account in %s', p.currency, coalesce(a.currency, 'no currency: it is gone'))
FROM lines e JOIN postings p USING (transfer_id, attempt, leg) LEFT JOIN accounts a ON a.id = e.account_id
WHERE a.currency IS DISTINCT FROM p.currency

UNION ALL
SELECT 'account_snapshot', n.account_id || ' version ' || n.version,
    format('a snapshot of balance %s, with totals that differ from its entries by %s', n.balance_minor,
        ARRAY[n.deposited_minor - coalesce(p.deposited_minor, 0) - f.deposited_minor,
            n.withdrawn_minor - coalesce(p.withdrawn_minor, 0) - f.withdrawn_minor,
            n.incoming_minor - coalesce(p.incoming_minor, 0) - f.incoming_minor,
            n.outgoing_minor - coalesce(p.outgoing_minor, 0) - f.outgoing_minor])
FROM starts s
JOIN account_snapshots n ON n.account_id = s.account_id AND n.version > s.version AND n.version <= s.upto
LEFT JOIN entries e ON (e.account_id, e.version) = (n.account_id, n.version)
LEFT JOIN LATERAL (
    SELECT * FROM account_snapshots p WHERE p.account_id = n.account_id AND p.version < n.version
    ORDER BY p.version DESC LIMIT 1
) p ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.deposits), 0) AS deposits, coalesce(sum(t.deposited_minor), 0) AS deposited_minor,
        coalesce(sum(t.withdrawals), 0) AS withdrawals, coalesce(sum(t.withdrawn_minor), 0) AS withdrawn_minor,
        coalesce(sum(t.incoming), 0) AS incoming, coalesce(sum(t.incoming_minor), 0) AS incoming_minor,
        coalesce(sum(t.outgoing), 0) AS outgoing, coalesce(sum(t.outgoing_minor), 0) AS outgoing_minor
    FROM entry_totals t
    WHERE t.account_id = n.account_id AND t.version > coalesce(p.version, 0) AND t.version <= n.version
) f
WHERE (e.balance_after, e.hash, e.recorded_at) IS DISTINCT FROM (n.balance_minor, n.hash, n.recorded_at)
    OR (n.deposits, n.withdrawals, n.incoming, n.outgoing) IS DISTINCT FROM
        (coalesce(p.deposits, 0) + f.deposits, coalesce(p.withdrawals, 0) + f.withdrawals,
            coalesce(p.incoming, 0) + f.incoming, coalesce(p.outgoing, 0) + f.outgoing)
    OR (n.deposited_minor, n.withdrawn_minor, n.incoming_minor, n.outgoing_minor) IS DISTINCT FROM
        (coalesce(p.deposited_minor, 0) + f.deposited_minor, coalesce(p.withdrawn_minor, 0) + f.withdrawn_minor,
            coalesce(p.incoming_minor, 0) + f.incoming_minor, coalesce(p.outgoing_minor, 0) + f.outgoing_minor)

-- section: spending
SELECT 'spending_is_sum_of_debits' AS invariant, a.id AS subject,
    format('%s on %s and %s in its month; its debits add up to %s on %s and %s', a.spent_day_minor,
        coalesce(a.spent_on::text, 'no day'), a.spent_month_minor, s.spent_day_minor,
        coalesce(s.spent_on::text, 'no day'), s.spent_month_minor) AS detail
FROM spending s JOIN accounts a ON a.id = s.account_id
WHERE (a.spent_on, a.spent_day_minor, a.spent_month_minor) IS DISTINCT FROM
    (s.spent_on, s.spent_day_minor, s.spent_month_minor)

-- section: transfers
WITH legs AS (
    SELECT transfer_id, attempt, array_agg(leg ORDER BY leg) AS legs FROM some_postings GROUP BY transfer_id, attempt
)
SELECT 'legs_match_state' AS invariant, t.id || ' attempt ' || t.attempt AS subject,
    format('%s with legs %s', t.state, coalesce(l.legs, '{}')) AS detail
FROM some_transfers t LEFT JOIN legs l ON (l.transfer_id, l.attempt) = (t.id, t.attempt)
WHERE coalesce(l.legs, '{}') <> CASE t.state
    WHEN 'debited' THEN '{debit}'
    WHEN 'completed' THEN '{credit,debit}'
    WHEN 'compensated' THEN '{debit,refund}'
    ELSE '{}' END::text[]

UNION ALL
SELECT 'legs_match_state', t.id || ' attempt ' || l.attempt, format('an ended attempt with legs %s', l.legs)
FROM legs l JOIN some_transfers t ON t.id = l.transfer_id
WHERE l.attempt > t.attempt OR (l.attempt < t.attempt AND l.legs <> '{debit,refund}')

UNION ALL
SELECT 'posting_matches_transfer', p.id,
    format('%s %s from %s to %s', p.amount_minor, p.currency, p.debit_account_id, p.credit_account_id)
FROM some_postings p LEFT JOIN some_transfers t ON t.id = p.transfer_id
WHERE t.id IS NULL OR (p.amount_minor, p.currency) <> (t.amount_minor, t.currency)
    OR p.debit_account_id <> CASE p.leg WHEN 'debit' THEN t.source_account_id ELSE 'clearing' END
    OR p.credit_account_id <> CASE p.leg
        WHEN 'debit' THEN 'clearing' WHEN 'credit' THEN t.destination_account_id ELSE t.source_account_id END

UNION ALL
SELECT 'entry_matches_posting', coalesce(e.account_id || ' version ' || e.version, p.id),
    CASE WHEN p.id IS NULL THEN 'an entry without a posting'
        WHEN e.account_id IS NULL THEN 'a posting to a customer account without its entry'
        ELSE format('entry of %s, posting of %s', e.amount_minor, p.amount_minor) END
FROM (
    SELECT *, CASE leg WHEN 'debit' THEN debit_account_id ELSE credit_account_id END AS account_id,
        CASE leg WHEN 'debit' THEN -amount_minor ELSE amount_minor END AS signed_minor
    FROM some_postings
) p
FULL JOIN some_entries e USING (transfer_id, attempt, leg)
WHERE (p.account_id IS DISTINCT FROM 'world' OR e.account_id IS NOT NULL)
    AND (e.account_id IS DISTINCT FROM p.account_id OR e.amount_minor IS DISTINCT FROM p.signed_minor
        OR e.recorded_at IS DISTINCT FROM p.recorded_at)

UNION ALL
SELECT 'entry_matches_account', e.account_id || ' version ' || e.version,
    format('a posting in %s, an account in %s', p.currency, coalesce(a.currency, 'no currency: it is gone'))
FROM some_entries e JOIN some_postings p USING (transfer_id, attempt, leg) LEFT JOIN accounts a ON a.id = e.account_id
WHERE a.currency IS DISTINCT FROM p.currency

UNION ALL
SELECT 'key_names_transfer', t.id, format('its key names %s', coalesce(k.transfer_id, 'nothing'))
FROM some_transfers t LEFT JOIN keys k ON (k.owner_id, k.idempotency_key) = (t.owner_id, t.idempotency_key)
WHERE k.transfer_id IS DISTINCT FROM t.id

UNION ALL
SELECT 'key_names_transfer', k.transfer_id, format('a key of %s names it; it is %s', k.owner_id,
    coalesce('a transfer of ' || t.owner_id, 'missing'))
FROM some_keys k LEFT JOIN transfers t ON t.id = k.transfer_id
WHERE k.transfer_id IS NOT NULL AND t.owner_id IS DISTINCT FROM k.owner_id

-- A key without a transfer was used for a request that moves no money, and has its answer.
UNION ALL
SELECT 'key_names_transfer', k.idempotency_key, format('a key of %s names no transfer and has no answer', k.owner_id)
FROM some_keys k LEFT JOIN answers a USING (owner_id, idempotency_key)
WHERE k.transfer_id IS NULL AND a.owner_id IS NULL

-- Staff reverse transfers of others and fund accounts of others, and each time that is on record.
UNION ALL
SELECT 'owner_owns_source', t.id,
    format('a %s of %s from %s to %s, %s', t.kind, t.owner_id, t.source_account_id, t.destination_account_id,
        coalesce('an account of ' || a.owner_id, 'of which no account is left'))
FROM some_transfers t LEFT JOIN accounts a
    ON a.id = CASE t.kind WHEN 'deposit' THEN t.destination_account_id ELSE t.source_account_id END
WHERE t.state IN ('debited', 'completed', 'compensated') AND a.owner_id IS DISTINCT FROM t.owner_id
    AND NOT (t.kind = 'reversal' AND EXISTS (
        SELECT FROM staff_actions s WHERE s.action = 'reverse_transfer' AND s.actor_id = t.owner_id
            AND s.subject = t.reverses_transfer_id AND s.after ->> 'reversal_id' = t.id))
    AND NOT (t.kind = 'funding' AND a.owner_id = 'cus_systemaaaaaaaaaaaaaaaaaaaa' AND EXISTS (
        SELECT FROM staff_actions s WHERE s.action = 'fund_account' AND s.actor_id = t.owner_id
            AND s.subject = t.destination_account_id AND s.after ->> 'transfer_id' = t.id))

UNION ALL
SELECT 'reversals_within_transfer', t.id,
    format('reversals of %s, completed or under way, of a transfer of %s', sum(r.amount_minor), t.amount_minor)
FROM transfers t JOIN transfers r ON r.reverses_transfer_id = t.id
WHERE t.id IN (SELECT coalesce(reverses_transfer_id, id) FROM some_transfers)
    AND r.state NOT IN ('failed', 'cancelled', 'compensated')
GROUP BY t.id, t.amount_minor HAVING sum(r.amount_minor) > t.amount_minor

UNION ALL
SELECT 'reversals_within_transfer', r.id,
    format('a %s from %s to %s in %s; it reverses a %s %s from %s to %s in %s', r.kind, r.source_account_id,
        r.destination_account_id, r.currency, coalesce(t.state, 'missing'), t.kind, t.source_account_id,
        t.destination_account_id, t.currency)
FROM some_transfers r LEFT JOIN transfers t ON t.id = r.reverses_transfer_id
WHERE (r.kind = 'reversal' OR r.reverses_transfer_id IS NOT NULL)
    AND (r.kind, t.kind, t.state, t.source_account_id, t.destination_account_id, t.currency) IS DISTINCT FROM
        ('reversal', 'transfer', 'completed', r.destination_account_id, r.source_account_id, r.currency)

-- section: disputes
WITH recorded AS (
    SELECT subject, array_agg(concat_ws('|', actor_id, after ->> 'ruling', after ->> 'amount', reason)) AS decisions
    FROM staff_actions WHERE action = 'decide_dispute' GROUP BY subject
)
SELECT 'dispute_matches_transfer' AS invariant, d.id AS subject,
    format('%s disputes what %s was paid: a %s %s by %s, to %s', d.payer_id, d.payee_id, coalesce(t.state, 'missing'),
        t.kind, t.owner_id, a.owner_id) AS detail
FROM disputes d LEFT JOIN transfers t ON t.id = d.transfer_id LEFT JOIN accounts a ON a.id = t.destination_account_id
WHERE (t.kind, t.state, t.owner_id, a.owner_id) IS DISTINCT FROM ('transfer', 'completed', d.payer_id, d.payee_id)

UNION ALL
SELECT 'one_dispute_at_a_time', transfer_id, format('%s disputes that are not over', count(*))
FROM disputes WHERE state IN ('open', 'reversing') GROUP BY transfer_id HAVING count(*) > 1

UNION ALL
SELECT 'dispute_matches_decision', d.id,
    format('%s, ruled %s of %s by %s, a transfer of %s, %s on record', d.state, coalesce(d.ruling, 'nothing'),
        coalesce(d.amount_minor, 0), coalesce(d.decided_by, 'nobody'), t.amount_minor, coalesce(r.decisions, '{}'))
FROM disputes d LEFT JOIN transfers t ON t.id = d.transfer_id LEFT JOIN recorded r ON r.subject = d.id
WHERE d.ruling IS DISTINCT FROM CASE d.state
        WHEN 'open' THEN NULL WHEN 'expired' THEN NULL WHEN 'rejected' THEN 'reject' ELSE 'reverse' END
    OR (d.amount_minor IS NOT NULL) <> (d.ruling IS NOT DISTINCT FROM 'reverse')
    OR d.amount_minor > t.amount_minor
    OR (d.closed_at IS NULL) <> (d.state IN ('open', 'reversing'))
    OR d.decided_by IN (d.payer_id, d.payee_id)
    OR coalesce(r.decisions, '{}') <> CASE WHEN d.ruling IS NULL THEN '{}' ELSE ARRAY[
        concat_ws('|', d.decided_by, d.ruling, d.amount_minor, d.decided_reason)] END

UNION ALL
SELECT 'dispute_matches_reversal', d.id,
    format('%s of %s by %s; its reversal is a %s %s of %s by %s', d.state, coalesce(d.amount_minor, 0),
        coalesce(d.decided_by, 'nobody'), coalesce(t.state, 'missing'), t.kind, t.amount_minor, t.owner_id)
FROM disputes d LEFT JOIN transfers t ON t.id = d.reversal_transfer_id
WHERE (d.state = 'reversed' AND t.state IS DISTINCT FROM 'completed')
    OR (d.reversal_transfer_id IS NOT NULL AND
        (d.state NOT IN ('reversed', 'reversal_failed')
        OR (t.reverses_transfer_id, t.amount_minor, t.owner_id, t.idempotency_key) IS DISTINCT FROM
            (d.transfer_id, d.amount_minor, d.decided_by, 'dispute/' || d.id)))

UNION ALL
SELECT 'statements_of_parties', s.dispute_id,
    format('%s statement(s) by %s, who is %s', count(*), s.author_id,
        CASE WHEN s.author_id IN (d.payer_id, d.payee_id) THEN 'a party' ELSE 'none' END)
FROM dispute_statements s LEFT JOIN disputes d ON d.id = s.dispute_id
GROUP BY s.dispute_id, s.author_id, d.payer_id, d.payee_id
HAVING count(*) > 20 OR (s.author_id IN (d.payer_id, d.payee_id)) IS NOT TRUE

UNION ALL
SELECT 'held_is_sum_of_holds', coalesce(a.id, h.account_id),
    format('%s of a balance of %s is held; the holds add up to %s', coalesce(a.held_minor, 0),
        coalesce(a.balance_minor, 0), coalesce(h.held, 0))
FROM accounts a
FULL JOIN (SELECT account_id, sum(amount_minor) AS held FROM holds GROUP BY account_id) h ON h.account_id = a.id
WHERE coalesce(a.held_minor, 0) <> coalesce(h.held, 0) OR a.held_minor > greatest(a.balance_minor, 0)

UNION ALL
SELECT 'hold_has_dispute', h.transfer_id,
    format('%s of %s is held; the transfer of %s reached %s, and its disputes are %s', h.amount_minor, h.account_id,
        coalesce(t.amount_minor, 0), coalesce(t.destination_account_id, 'nobody'), coalesce(d.states, '{}'))
FROM holds h LEFT JOIN transfers t ON t.id = h.transfer_id
LEFT JOIN LATERAL (SELECT array_agg(state ORDER BY state) AS states FROM disputes WHERE transfer_id = h.transfer_id) d
    ON true
WHERE t.destination_account_id IS DISTINCT FROM h.account_id
    OR h.amount_minor + h.used_minor > t.amount_minor
    OR NOT coalesce(d.states, '{}') && '{open,reversing,reversal_failed}'::text[]

-- section: books
WITH held AS (
    SELECT currency, sum(balance_minor) AS customers FROM accounts GROUP BY currency
),
moving AS (
    SELECT currency, sum(amount_minor) AS in_transit FROM transfers WHERE state = 'debited' GROUP BY currency
),
books AS (
    SELECT currency, coalesce(customers, 0) AS customers, coalesce(clearing_minor, 0) AS clearing,
        coalesce(world_minor, 0) AS world, coalesce(in_transit, 0) AS in_transit
    FROM held FULL JOIN current_totals USING (currency) FULL JOIN moving USING (currency)
)
SELECT 'zero_sum' AS invariant, currency AS subject,
    format('customers %s + clearing %s + world %s must be 0', customers, clearing, world) AS detail
FROM books WHERE customers + clearing + world <> 0

UNION ALL
SELECT 'in_transit', currency, format('clearing holds %s, debited transfers are worth %s', clearing, in_transit)
FROM books WHERE clearing <> in_transit

-- section: totals
SELECT 'running_totals' AS invariant, currency AS subject, format('they say %s; counted again: %s',
    coalesce(to_jsonb(kept)::text, 'nothing'), coalesce(to_jsonb(counted)::text, 'nothing')) AS detail
FROM jsonb_populate_recordset(NULL::settled_totals, $1::jsonb) kept
FULL JOIN jsonb_populate_recordset(NULL::settled_totals, $2::jsonb) counted USING (currency)
WHERE to_jsonb(kept) IS DISTINCT FROM to_jsonb(counted)
