"""Rows of transfers as the ledger's steps would have written them, for COPY: millions of them in minutes.

`ledger/chain.py` computes the hashes, so an audit finds these books clean.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from ledger.chain import entry_hash
from ledger.ids import CLEARING, AccountId, CustomerId, TransferId, posting_id
from ledger.limits.sent_totals import Spending
from ledger.limits.tier_limits import COUNTED
from ledger.transfers import Failure, Leg, State, TransferOrder

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

COPY_SECONDS = 3600

_TRANSFERS = (
    "id owner_id idempotency_key fingerprint kind source_account_id destination_account_id amount_minor currency "
    "reverses_transfer_id workflow_id state failure_code failure_message created_at updated_at completed_at"
).split()
_KEYS = "owner_id idempotency_key transfer_id recorded_at".split()
_POSTINGS = "transfer_id attempt leg debit_account_id credit_account_id amount_minor currency recorded_at".split()
_ENTRIES = (
    "account_id version transfer_id attempt leg amount_minor balance_before balance_after recorded_at hash".split()
)
_COLUMNS = {"transfers": _TRANSFERS, "keys": _KEYS, "postings": _POSTINGS, "entries": _ENTRIES}

# What a transfer posted by the time that it reached a state.
_LEGS: dict[State, tuple[Leg, ...]] = {
    State.DEBITED: (Leg.DEBIT,),
    State.COMPLETED: (Leg.DEBIT, Leg.CREDIT),
    State.COMPENSATED: (Leg.DEBIT, Leg.REFUND),
}

_SET_ACCOUNT = """
    UPDATE accounts SET balance_minor = $2, version = $3, head_hash = $4, spent_on = $5::date, spent_day_minor = $6,
        spent_month_minor = $7
    WHERE id = $1
"""


@dataclass(slots=True)
class BulkAccount:
    """An account and how far its entries have come."""

    id: AccountId
    owner_id: CustomerId
    balance_minor: int
    version: int
    head_hash: bytes
    spent_on: date | None = None
    spent_day_minor: int = 0
    spent_month_minor: int = 0

    def count(self, order: TransferOrder, leg: Leg, at: datetime) -> None:
        """Count a debit, or the refund of one of the same time, as the ledger does."""
        if order.kind not in COUNTED or leg is Leg.CREDIT:
            return
        spending = Spending(self.spent_on, self.spent_day_minor, self.spent_month_minor)
        after = (spending.plus if leg is Leg.DEBIT else spending.minus)(order.amount_minor, at)
        self.spent_on, self.spent_day_minor, self.spent_month_minor = after.day, after.day_minor, after.month_minor

    def enter(self, transfer_id: TransferId, leg: Leg, amount_minor: int, at: datetime) -> tuple[Any, ...]:
        """Add the account's next entry. Returns its row."""
        before, after = self.balance_minor, self.balance_minor + amount_minor
        self.version += 1
        self.balance_minor = after
        self.head_hash = entry_hash(
            self.head_hash,
            self.id,
            self.version,
            posting_id(transfer_id, 1, leg),
            amount_minor,
            before,
            after,
            at,
        )
        return self.id, self.version, transfer_id, 1, leg.value, amount_minor, before, after, at, self.head_hash


@dataclass(slots=True)
class BulkRows:
    """Rows of the books that are not yet written."""

    transfers: list[tuple[Any, ...]] = field(default_factory=list)
    keys: list[tuple[Any, ...]] = field(default_factory=list)
    postings: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)

    def add(
        self,
        order: TransferOrder,
        state: State,
        at: datetime,
        source: BulkAccount | None,
        destination: BulkAccount | None,
        failure: Failure | None = None,
    ) -> None:
        """Add a transfer's first attempt that reached a state at this time; None is the account of the world."""
        code, message = (failure.code, failure.message) if failure else (None, None)
        ended = at if state.is_final else None
        self.transfers.append(
            (
                order.transfer_id,
                order.owner_id,
                order.idempotency_key,
                order.fingerprint,
                order.kind.value,
                order.source_account_id,
                order.destination_account_id,
                order.amount_minor,
                order.currency,
                order.reverses_transfer_id,
                order.workflow_id,
                state.value,
                code,
                message,
                at,
                at,
                ended,
            )
        )
        self.keys.append((order.owner_id, order.idempotency_key, order.transfer_id, at))
        for leg in _LEGS.get(state, ()):
            is_debit = leg is Leg.DEBIT
            account = destination if leg is Leg.CREDIT else source
            account_id = order.destination_account_id if leg is Leg.CREDIT else order.source_account_id
            sides = (account_id, CLEARING) if is_debit else (CLEARING, account_id)
            self.postings.append((order.transfer_id, 1, leg.value, *sides, order.amount_minor, order.currency, at))
            if account is not None:
                amount = -order.amount_minor if is_debit else order.amount_minor
                self.entries.append(account.enter(order.transfer_id, leg, amount, at))
                account.count(order, leg, at)

    async def write(self, connection: "Connection") -> None:
        """Write all rows in one transaction, and forget them."""
        async with connection.transaction():
            for table, columns in _COLUMNS.items():
                records = getattr(self, table)
                await connection.copy_records_to_table(table, records=records, columns=columns, timeout=COPY_SECONDS)
                records.clear()


@asynccontextmanager
async def bulk_connection(database_url: str) -> AsyncIterator["Connection"]:
    """A superuser's connection without triggers and foreign keys. Nothing else may write meanwhile.

    VACUUM, ANALYZE and a checkpoint end it, so that what follows measures no clean-up.
    """
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        yield connection
        await connection.execute("VACUUM (ANALYZE)", timeout=COPY_SECONDS)
        await connection.execute("CHECKPOINT", timeout=COPY_SECONDS)
    finally:
        await connection.close()


async def write_accounts(connection: "Connection", accounts: list[BulkAccount]) -> None:
    """Write what the accounts hold after all their entries."""
    async with connection.transaction():
        await connection.executemany(
            _SET_ACCOUNT,
            [
                (
                    one.id,
                    one.balance_minor,
                    one.version,
                    one.head_hash,
                    one.spent_on,
                    one.spent_day_minor,
                    one.spent_month_minor,
                )
                for one in accounts
            ],
            timeout=COPY_SECONDS,
        )
