"""What this process last saw of transfers and accounts, so that a step need not read before it writes.

Only advice: a write that rests on it names all that it was decided on, takes the row locks, and writes nothing unless
both rows are still so. So what is stale here costs a round trip, and never money.
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

# More than are under way at once in one process; the oldest are forgotten.
REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class CachedRow(Generic[Row]):
    """A row, and PostgreSQL's time when it was so."""

    row: Row
    as_of: datetime
    seen_at_ns: int

    @property
    def now(self) -> datetime:
        """About PostgreSQL's time now: behind it while both clocks run evenly, never before what was seen happened."""
        return self.as_of + timedelta(microseconds=(time.monotonic_ns() - self.seen_at_ns) // 1_000)


class _CachedRows(Generic[Key, Row]):
    def __init__(self, is_older: Callable[[Row, Row], bool]) -> None:
        self._is_older = is_older
        self._rows: dict[Key, CachedRow[Row]] = {}

    def remember(self, key: Key, row: Row, as_of: datetime) -> None:
        known = self._rows.pop(key, None)
        if known is not None and self._is_older(row, known.row):
            self._rows[key] = known  # an answer that was long on its way
            return
        self._rows[key] = CachedRow(row, as_of, time.monotonic_ns())
        if len(self._rows) > REMEMBERED:
            del self._rows[next(iter(self._rows))]

    def forget(self, key: Key) -> None:
        self._rows.pop(key, None)

    def get(self, key: Key) -> CachedRow[Row] | None:
        return self._rows.get(key)


class RowCache:
    """Transfers that were opened or moved here, and the accounts they met."""

    def __init__(self) -> None:
        self.transfers: _CachedRows[TransferId, Transfer] = _CachedRows(
            lambda new, old: new.updated_at < old.updated_at
        )
        self.accounts: _CachedRows[AccountId, Account] = _CachedRows(lambda new, old: new.version < old.version)

    def transfer_and_account(self, transfer_id: TransferId, side: Side) -> tuple[Transfer, Account, datetime] | None:
        """A transfer, the account on that side of it, and PostgreSQL's time, where both were seen."""
        transfer = self.transfers.get(transfer_id)
        if transfer is None:
            return None
        account = self.accounts.get(transfer.row.account_on(side))
        if account is None:
            return None
        return transfer.row, account.row, max(transfer.now, account.now)
