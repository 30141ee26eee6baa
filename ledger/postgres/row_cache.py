"""Rows of transfers and accounts that this process last read or wrote, so that a step need not read before it writes.

A cached row may approve a step, never refuse it. A write that is decided on cached rows takes the row locks and
compares both rows; if one has changed, it writes nothing. A stale row costs a round trip, and never money.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from ledger.accounts import Account
from ledger.ids import AccountId, TransferId
from ledger.transfers import Side, Transfer

Key = TypeVar("Key")
Row = TypeVar("Row")

# More transfers than one process runs at once. Beyond that, the oldest rows are dropped.
MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class CachedRow(Generic[Row]):
    """A row, and PostgreSQL's time when it was read or written."""

    row: Row
    as_of: datetime
    cached_at_ns: int

    @property
    def now(self) -> datetime:
        """About PostgreSQL's time now: behind it while both clocks run evenly, and never before `as_of`."""
        return self.as_of + timedelta(microseconds=(time.monotonic_ns() - self.cached_at_ns) // 1_000)


class _CachedRows(Generic[Key, Row]):
    def __init__(self, is_older: Callable[[Row, Row], bool]) -> None:
        self._is_older = is_older
        self._rows: dict[Key, CachedRow[Row]] = {}

    def remember(self, key: Key, row: Row, as_of: datetime) -> None:
        known = self._rows.pop(key, None)
        if known is not None and self._is_older(row, known.row):
            self._rows[key] = known  # a newer row arrived before this one
            return
        self._rows[key] = CachedRow(row, as_of, time.monotonic_ns())
        if len(self._rows) > MOST_ROWS:
            del self._rows[next(iter(self._rows))]

    def forget(self, key: Key) -> None:
        self._rows.pop(key, None)

    def get(self, key: Key) -> CachedRow[Row] | None:
        return self._rows.get(key)


class RowCache:
    """Transfers that this process opened or changed, and their accounts."""

    def __init__(self) -> None:
        self.transfers: _CachedRows[TransferId, Transfer] = _CachedRows(
            lambda new, old: new.updated_at < old.updated_at
        )
        self.accounts: _CachedRows[AccountId, Account] = _CachedRows(lambda new, old: new.version < old.version)

    def transfer_and_account(self, transfer_id: TransferId, side: Side) -> tuple[Transfer, Account, datetime] | None:
        """A transfer, the account on that side of it, and PostgreSQL's time; None unless both rows are cached."""
        transfer = self.transfers.get(transfer_id)
        if transfer is None:
            return None
        account = self.accounts.get(transfer.row.account_on(side))
        if account is None:
            return None
        return transfer.row, account.row, max(transfer.now, account.now)
