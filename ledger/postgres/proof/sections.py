"""The invariants as statements, each over a part of the books that its parameters choose.

Those of the books themselves are the sections of `invariants.sql`; those of what else moves or tells money are files
beside this module.
"""

import re
from pathlib import Path

from ledger.postgres.proof.counters import SPENDING

_TEXT = (Path(__file__).parents[1] / "invariants.sql").read_text()
_SECTIONS = dict(re.findall(r"^-- section: (\w+)\n(.*?)(?=^-- section: |\Z)", _TEXT, re.DOTALL | re.MULTILINE))

# $1 and $2: account ids, and the version after which each is looked at. $3: how many entries of each at most.
_ACCOUNTS = """
    starts AS MATERIALIZED (
        SELECT s.account_id, s.version, s.version + $3::bigint AS upto, e.balance_after, e.hash
        FROM unnest($1::text[], $2::bigint[]) AS s(account_id, version)
        LEFT JOIN entries e ON (e.account_id, e.version) = (s.account_id, s.version)
    ),
    lines AS MATERIALIZED (
        SELECT
            e.*,
            s.version + row_number() OVER earlier AS expected_version,
            coalesce(lag(e.balance_after) OVER earlier, s.balance_after, 0) AS expected_before,
            coalesce(lag(e.hash) OVER earlier, s.hash, sha256(convert_to(e.account_id, 'UTF8'))) AS previous_hash
        FROM starts s JOIN entries e ON e.account_id = s.account_id AND e.version > s.version AND e.version <= s.upto
        WINDOW earlier AS (PARTITION BY e.account_id ORDER BY e.version)
    ),
    heads AS (
        SELECT DISTINCT ON (account_id) account_id, version, balance_after, hash
        FROM (
            SELECT account_id, version, balance_after, hash FROM lines
            UNION ALL
            SELECT account_id, version, balance_after, hash FROM starts WHERE hash IS NOT NULL
        ) seen
        ORDER BY account_id, version DESC
    )
"""

# $1: account ids.
_SPENDING = f"""
    wanted AS MATERIALIZED (SELECT unnest($1::text[]) AS account_id),
    spending AS MATERIALIZED ({SPENDING})
"""

_WANTED_TRANSFERS = """
    some_transfers AS MATERIALIZED (SELECT t.* FROM wanted JOIN transfers t ON t.id = wanted.id),
    some_postings AS MATERIALIZED (SELECT p.* FROM wanted JOIN postings p ON p.transfer_id = wanted.id),
    some_entries AS MATERIALIZED (SELECT e.* FROM wanted JOIN entries e ON e.transfer_id = wanted.id)
"""

# After $1 and until $2: the transfers opened then, and those that were posted or named by a key then.
_PERIOD = f"""
    some_keys AS MATERIALIZED (SELECT * FROM keys WHERE recorded_at > $1 AND recorded_at <= $2),
    wanted AS MATERIALIZED (
        SELECT id FROM transfers WHERE created_at > $1 AND created_at <= $2
        UNION
        SELECT transfer_id FROM postings WHERE recorded_at > $1 AND recorded_at <= $2
    ),
    {_WANTED_TRANSFERS}
"""

# $1: their ids.
_TRANSFERS = f"""
    some_keys AS (SELECT * FROM keys WHERE false),
    wanted AS MATERIALIZED (SELECT unnest($1::text[]) AS id),
    {_WANTED_TRANSFERS}
"""


def _over(part: str, section: str) -> str:
    """The section's statement with the relations of its part in front."""
    text = _SECTIONS[section].strip()
    return f"WITH {part}, {text.removeprefix('WITH ')}" if text.startswith("WITH ") else f"WITH {part} {text}"


ACCOUNTS = _over(_ACCOUNTS, "accounts")
SPENT = _over(_SPENDING, "spending")
TRANSFERS_OF_PERIOD = _over(_PERIOD, "transfers")
TRANSFERS_BY_ID = _over(_TRANSFERS, "transfers")
DISPUTES = _SECTIONS["disputes"]
BOOKS = _SECTIONS["books"]
TOTALS = _SECTIONS["totals"]
BATCHES, OCCURRENCES, STOPPED_ORDERS, STATEMENTS = (
    (Path(__file__).parent / f"{name}.sql").read_text()
    for name in ("batches", "occurrences", "stopped_orders", "statements")
)
EVERY_SECTION = (
    *(ACCOUNTS, SPENT, TRANSFERS_OF_PERIOD, TRANSFERS_BY_ID, DISPUTES, BOOKS, TOTALS),
    *(BATCHES, OCCURRENCES, STOPPED_ORDERS, STATEMENTS),
)
assert _SECTIONS.keys() == {"accounts", "spending", "transfers", "disputes", "books", "totals"}
