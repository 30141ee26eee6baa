"""The hash chain of an account's entries.

Each hash covers its row and the hash before it, so an edited, dropped or reordered entry breaks every hash after it.
`ledger/postgres/invariants.sql` computes the same in SQL: two implementations that check each other.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from ledger.ids import AccountId, PostingId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def genesis_hash(account_id: AccountId) -> bytes:
    """What the first entry of an account follows."""
    return hashlib.sha256(account_id.encode()).digest()


def entry_hash(
    previous: bytes,
    account_id: AccountId,
    version: int,
    posting_id: PostingId,
    amount_minor: int,
    balance_before: int,
    balance_after: int,
    recorded_at: datetime,
) -> bytes:
    """SHA-256 over the previous hash in hex and the row's fields, joined by `|`; the time in whole microseconds."""
    micros = (recorded_at - _EPOCH) // timedelta(microseconds=1)
    fields = (previous.hex(), account_id, version, posting_id, amount_minor, balance_before, balance_after, micros)
    return hashlib.sha256("|".join(map(str, fields)).encode()).digest()
