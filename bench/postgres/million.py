"""Fills the books in bulk with many completed transfers, as the ledger's steps would have written them.

`ledger/chain.py` computes the hashes, and the audit at the end of the case checks them.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from api.transfers.acceptance import TransferRequest, order_for
from bench.traffic.population import AMOUNT_MINOR, CURRENCY
from ledger.chain import entry_hash
from ledger.fingerprints import Fingerprints
from ledger.ids import CLEARING, AccountId, CustomerId, TransferId, posting_id
from ledger.transfers import Leg, State, TransferOrder

BATCH = 20_000
COPY_SECONDS = 300

_TRANSFERS = (
    "id owner_id idempotency_key fingerprint kind source_account_id destination_account_id amount_minor currency "
    "workflow_id state created_at updated_at completed_at"
).split()
_KEYS = "owner_id idempotency_key transfer_id recorded_at".split()
_POSTINGS = "transfer_id attempt leg debit_account_id credit_account_id amount_minor currency recorded_at".split()
_ENTRIES = (
    "account_id version transfer_id attempt leg amount_minor balance_before balance_after recorded_at hash".split()
)

_ACCOUNTS = "SELECT id, owner_id, balance_minor, version, head_hash FROM accounts ORDER BY id"
_SET_ACCOUNT = "UPDATE accounts SET balance_minor = $2, version = $3, head_hash = $4 WHERE id = $1"


@dataclass(slots=True)
class _Account:
    id: AccountId
    owner_id: CustomerId
    balance_minor: int
    version: int
    head_hash: bytes

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


async def fill_with_entries(
    database_url: str,
    fingerprints: Fingerprints,
    entries: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Add transfers between the existing accounts until the books have this many entries; then VACUUM and ANALYZE.

    Needs a superuser, because it turns triggers and foreign keys off. Nothing else may write meanwhile.
    """
    connection = await asyncpg.connect(database_url)
    try:
        accounts = [_Account(**dict(row)) for row in await connection.fetch(_ACCOUNTS)]
        chance = random.Random(seed)  # noqa: S311 - the same books again, not a secret
        written = sum(account.version for account in accounts)
        await connection.execute("SET session_replication_role = replica")
        while written < entries:
            batch = min(BATCH, (entries - written + 1) // 2)
            rows = list(_transfers(accounts, fingerprints, chance, f"{written}", batch))
            async with connection.transaction():
                await _copy(connection, rows)
            written += 2 * batch
            progress(written)
        async with connection.transaction():
            await connection.executemany(
                _SET_ACCOUNT, [(one.id, one.balance_minor, one.version, one.head_hash) for one in accounts]
            )
        await connection.execute("VACUUM (ANALYZE)", timeout=COPY_SECONDS)
        await connection.execute("CHECKPOINT", timeout=COPY_SECONDS)
    finally:
        await connection.close()


def _transfers(
    accounts: Sequence[_Account], fingerprints: Fingerprints, chance: random.Random, name: str, number: int
) -> Iterator[tuple[TransferOrder, datetime, tuple[Any, ...], tuple[Any, ...]]]:
    began = datetime.now(UTC) - timedelta(days=1)
    for count in range(number):
        source, destination = chance.sample(accounts, 2)
        wish = TransferRequest(source.id, destination.id, AMOUNT_MINOR, CURRENCY)
        order = fingerprints.signed(order_for(source.owner_id, f"filled-{name}-{count}", wish))
        at = began + timedelta(milliseconds=count)
        debit = source.enter(order.transfer_id, Leg.DEBIT, -AMOUNT_MINOR, at)
        yield order, at, debit, destination.enter(order.transfer_id, Leg.CREDIT, AMOUNT_MINOR, at)


async def _copy(
    connection: "asyncpg.Connection[asyncpg.Record]",
    rows: Sequence[tuple[TransferOrder, datetime, tuple[Any, ...], tuple[Any, ...]]],
) -> None:
    transfers = [
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
            order.workflow_id,
            State.COMPLETED.value,
            at,
            at,
            at,
        )
        for order, at, _, _ in rows
    ]
    keys = [(order.owner_id, order.idempotency_key, order.transfer_id, at) for order, at, _, _ in rows]
    legs = [
        leg
        for order, at, _, _ in rows
        for leg in (
            (order.transfer_id, 1, "debit", order.source_account_id, CLEARING, AMOUNT_MINOR, CURRENCY, at),
            (order.transfer_id, 1, "credit", CLEARING, order.destination_account_id, AMOUNT_MINOR, CURRENCY, at),
        )
    ]
    entries = [entry for _, _, debit, credit in rows for entry in (debit, credit)]
    for table, columns, records in (
        ("transfers", _TRANSFERS, transfers),
        ("keys", _KEYS, keys),
        ("postings", _POSTINGS, legs),
        ("entries", _ENTRIES, entries),
    ):
        await connection.copy_records_to_table(table, records=records, columns=columns, timeout=COPY_SECONDS)
