-- What must hold of the statements of accounts. $1: the accounts. As in `invariants.sql`, each row of the result is one
-- thing that does not.
WITH wanted AS MATERIALIZED (SELECT * FROM account_statements WHERE account_id = ANY ($1::text[])),
-- Where an account's entries were cut, and when: the ends of all its statements.
cuts AS (
    SELECT account_id, number, ends_at AS at, to_version AS version FROM wanted
    UNION ALL SELECT account_id, number, begins_at, from_version - 1 FROM wanted
),
in_order AS (
    SELECT *, lag(at) OVER earlier AS earlier_at, lag(version) OVER earlier AS earlier_version
    FROM cuts WINDOW earlier AS (PARTITION BY account_id ORDER BY at, version)
)
SELECT 'statement_numbers' AS invariant, account_id AS subject,
    format('%s statements, numbered from %s to %s', count(*), min(number), max(number)) AS detail
FROM wanted GROUP BY account_id HAVING (min(number), max(number)) <> (1, count(*))

UNION ALL
SELECT 'statements_follow', account_id || ' statement ' || number,
    format('cut behind version %s at %s, and behind version %s at %s', version, at, earlier_version, earlier_at)
FROM in_order WHERE version < earlier_version OR at = earlier_at AND version <> earlier_version

UNION ALL
SELECT 'statement_matches_entries', s.account_id || ' statement ' || s.number,
    format('%s at version %s; the entry there says %s', said.balance, said.version,
        coalesce(e.balance_after::text, CASE WHEN said.version = 0 THEN '0' ELSE 'nothing' END))
FROM wanted s
CROSS JOIN LATERAL (
    VALUES (s.from_version - 1, s.opening_minor, s.opening_hash), (s.to_version, s.closing_minor, s.head_hash)
) AS said (version, balance, hash)
LEFT JOIN entries e ON (e.account_id, e.version) = (s.account_id, said.version)
WHERE said.balance IS DISTINCT FROM CASE said.version WHEN 0 THEN 0 ELSE e.balance_after END
    OR said.hash IS DISTINCT FROM CASE said.version WHEN 0 THEN sha256(convert_to(s.account_id, 'UTF8')) ELSE e.hash END

UNION ALL
SELECT 'statement_sums', s.account_id || ' statement ' || s.number,
    format('opening %s + %s credits of %s - %s debits of %s, through version %s of %s, closing %s', s.opening_minor,
        t.credits, t.credits_minor, t.debits, t.debits_minor, t.through_version, s.to_version, s.closing_minor)
FROM wanted s LEFT JOIN account_statement_totals t USING (account_id, number)
WHERE t.number IS NULL
    OR t.credits + t.debits <> t.through_version - s.from_version + 1
    OR (t.ready_at IS NOT NULL) <> (t.through_version = s.to_version)
    OR t.ready_at IS NOT NULL AND s.opening_minor + t.credits_minor - t.debits_minor <> s.closing_minor
