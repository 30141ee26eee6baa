"""Repairs an account's row from its entries, and only if the entries themselves are intact.

The row counts its entries and holds the newest one's hash, so a difference may also mean that entries were deleted.
Every entry must therefore follow from the one before, match its posting, and be all that the account's transfers
posted to it. Up to the account's audited head an audit has proved that already, so only what came later is read.
"""

from typing import TYPE_CHECKING

from ledger.accounts import Account
from ledger.ids import AccountId
from ledger.postgres.proof.counters import SPENDING
from ledger.postgres.rows import ACCOUNT_COLUMNS, account_of
from ledger.refusals import EntriesBroken, MoreHeldThanBalance

if TYPE_CHECKING:
    from database.connections import Connection

# Hashing a million entries takes seconds. Steps that need the account are retried meanwhile.
REBUILD_TIMEOUT_SECONDS = 60

_LIMIT = f"SET LOCAL statement_timeout = '{REBUILD_TIMEOUT_SECONDS}s'"
# PostgreSQL ends the statement first, and says that it took too long.
_ANSWER_SECONDS = REBUILD_TIMEOUT_SECONDS + 2

# The invariants of `invariants.sql` that are about entries, for one account. Found by the transfers' indexes.
# What an audit has proved is not looked at again: of a long account, only the entries after its audited head, the
# transfers that they belong to, and those that began in the month before the head or later.
_FINDINGS = """
    WITH start AS MATERIALIZED (
        SELECT e.version, e.balance_after, e.hash, e.recorded_at, e.recorded_at - interval '30 days' AS began_after
        FROM audited_heads h JOIN entries e
            ON (e.account_id, e.version, e.balance_after, e.hash) = (h.account_id, h.version, h.balance_minor, h.hash)
        WHERE h.account_id = $1
        UNION ALL
        SELECT 0, 0, sha256(convert_to($1, 'UTF8')), '-infinity', '-infinity'
        ORDER BY 1 DESC LIMIT 1
    ),
    lines AS MATERIALIZED (
        SELECT
            e.*,
            (SELECT version FROM start) + row_number() OVER earlier AS expected_version,
            coalesce(lag(e.balance_after) OVER earlier, (SELECT balance_after FROM start)) AS expected_before,
            coalesce(lag(e.hash) OVER earlier, (SELECT hash FROM start)) AS previous_hash
        FROM entries e WHERE e.account_id = $1 AND e.version > (SELECT version FROM start)
        WINDOW earlier AS (ORDER BY e.version)
    ),
    own AS MATERIALIZED (
        SELECT * FROM transfers WHERE source_account_id = $1 AND created_at > (SELECT began_after FROM start)
        UNION
        SELECT * FROM transfers WHERE destination_account_id = $1 AND created_at > (SELECT began_after FROM start)
        UNION
        SELECT * FROM transfers WHERE id IN (SELECT transfer_id FROM lines)
    ),
    sides AS (
        SELECT p.*, CASE p.leg WHEN 'debit' THEN -p.amount_minor ELSE p.amount_minor END AS signed_minor
        FROM postings p JOIN own ON own.id = p.transfer_id
        WHERE $1 = CASE p.leg WHEN 'debit' THEN p.debit_account_id ELSE p.credit_account_id END
            AND p.recorded_at >= (SELECT recorded_at FROM start)
            AND NOT EXISTS (
                SELECT FROM entries e WHERE e.transfer_id = p.transfer_id AND (e.attempt, e.leg) = (p.attempt, p.leg)
                    AND e.account_id = $1 AND e.version <= (SELECT version FROM start)
            )
    ),
    legs AS (
        SELECT p.transfer_id, p.attempt, array_agg(p.leg ORDER BY p.leg) AS legs
        FROM postings p JOIN own ON own.id = p.transfer_id GROUP BY p.transfer_id, p.attempt
    )

    SELECT 1 AS rank, version, format('version %s was found where %s was expected, or does not follow from it',
        version, expected_version) AS finding
    FROM lines
    WHERE version <> expected_version OR balance_before <> expected_before
        OR balance_after <> balance_before + amount_minor

    UNION ALL
    SELECT 2, version, format('the hash of version %s, or of the one before it, is not what was written', version)
    FROM lines
    WHERE hash <> sha256(convert_to(concat_ws('|',
        encode(previous_hash, 'hex'), account_id, version,
        'pst_' || substr(transfer_id, 5) || '_' || attempt || '_' || leg,
        amount_minor, balance_before, balance_after, (extract(epoch FROM recorded_at) * 1000000)::bigint), 'UTF8'))

    UNION ALL
    SELECT 3, version, CASE WHEN sides.id IS NULL THEN format('version %s has no posting', version)
        WHEN version IS NULL THEN format('posting %s has no entry', sides.id)
        ELSE format('version %s does not match its posting', version) END
    FROM sides FULL JOIN lines USING (transfer_id, attempt, leg)
    WHERE sides.signed_minor IS DISTINCT FROM lines.amount_minor OR sides.recorded_at IS DISTINCT FROM lines.recorded_at
        OR sides.currency <> (SELECT currency FROM accounts WHERE id = $1)

    UNION ALL
    SELECT 4, NULL, format('transfer %s is %s with legs %s', own.id, own.state, coalesce(legs.legs, '{}'))
    FROM own LEFT JOIN legs ON (legs.transfer_id, legs.attempt) = (own.id, own.attempt)
    WHERE coalesce(legs.legs, '{}') <> CASE own.state
        WHEN 'debited' THEN '{debit}'
        WHEN 'completed' THEN '{credit,debit}'
        WHEN 'compensated' THEN '{debit,refund}'
        ELSE '{}' END::text[]

    ORDER BY 1, 2 LIMIT 5
"""

# What the entries require of the account's row: of the newest entry, and of what the account has sent.
_REQUIRED = f"""
    WITH wanted AS (SELECT $1::text AS account_id), spending AS ({SPENDING}),
    required AS (
        SELECT coalesce(head.balance_after, 0) AS balance_minor, coalesce(head.version, 0) AS version,
            coalesce(head.hash, sha256(convert_to($1::text, 'UTF8'))) AS head_hash,
            s.spent_on, s.spent_day_minor, s.spent_month_minor
        FROM spending s LEFT JOIN LATERAL (
            SELECT * FROM entries WHERE account_id = $1 ORDER BY version DESC LIMIT 1
        ) head ON true
    )
"""

_IS_AS_REQUIRED = f"""
    {_REQUIRED}
    SELECT (a.balance_minor, a.version, a.head_hash, a.spent_on, a.spent_day_minor, a.spent_month_minor)
        IS NOT DISTINCT FROM (r.balance_minor, r.version, r.head_hash, r.spent_on, r.spent_day_minor,
            r.spent_month_minor)
    FROM accounts a CROSS JOIN required r WHERE a.id = $1
"""

_REBUILD = f"""
    {_REQUIRED}
    UPDATE accounts a SET
        balance_minor = r.balance_minor,
        version = r.version,
        head_hash = r.head_hash,
        spent_on = r.spent_on,
        spent_day_minor = r.spent_day_minor,
        spent_month_minor = r.spent_month_minor
    FROM required r
    WHERE a.id = $1 AND (a.held_minor = 0 OR a.held_minor <= r.balance_minor)
    RETURNING {ACCOUNT_COLUMNS}
"""


async def is_as_entries_require(connection: "Connection", account_id: AccountId) -> bool:
    """Whether the account's row and its entries are in order: then a rebuild would change and report nothing.

    It takes no lock. A posting, its entry and the row are written in one transaction, so each statement sees all of
    them or none. False may also mean that something is wrong with the entries: `rebuild` decides, under the lock.
    """
    await connection.execute(_LIMIT)
    if await connection.fetch(_FINDINGS, account_id, timeout=_ANSWER_SECONDS):
        return False
    return bool(await connection.fetchval(_IS_AS_REQUIRED, account_id, timeout=_ANSWER_SECONDS))


async def rebuild(connection: "Connection", account_id: AccountId) -> Account:
    """Write the account's row as its entries require, and return it. The caller holds its lock.

    Without a change, it raises `EntriesBroken` if the entries are not intact, and `MoreHeldThanBalance` if the account
    holds more than they leave it.
    """
    await connection.execute(_LIMIT)
    findings = await connection.fetch(_FINDINGS, account_id, timeout=_ANSWER_SECONDS)
    if findings:
        raise EntriesBroken(account_id, [row["finding"] for row in findings])
    row = await connection.fetchrow(_REBUILD, account_id, timeout=_ANSWER_SECONDS)
    if row is None:
        raise MoreHeldThanBalance(account_id)
    return account_of(row)
