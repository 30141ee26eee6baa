"""Fills the books in bulk with many completed transfers between the accounts that they have."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from api.transfers.acceptance import TransferRequest, order_for
from bench.postgres.bulk import BulkAccount, BulkRows, bulk_connection, write_accounts
from bench.traffic.population import AMOUNT_MINOR, CURRENCY
from ledger.fingerprints import Fingerprints
from ledger.transfers import State

BATCH = 20_000

_ACCOUNTS = """
    SELECT id, owner_id, balance_minor, version, head_hash, spent_on, spent_day_minor, spent_month_minor
    FROM accounts ORDER BY id
"""


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
    async with bulk_connection(database_url) as connection:
        accounts = [BulkAccount(**dict(row)) for row in await connection.fetch(_ACCOUNTS)]
        chance = random.Random(seed)  # noqa: S311 - the same books again, not a secret
        rows, written = BulkRows(), sum(account.version for account in accounts)
        while written < entries:
            batch = min(BATCH, (entries - written + 1) // 2)
            began = datetime.now(UTC) - timedelta(days=1)
            for count in range(batch):
                source, destination = chance.sample(accounts, 2)
                wanted = TransferRequest(source.id, destination.id, AMOUNT_MINOR, CURRENCY)
                order = fingerprints.signed(order_for(source.owner_id, f"filled-{written}-{count}", wanted))
                rows.add(order, State.COMPLETED, began + timedelta(milliseconds=count), source, destination)
            await rows.write(connection)
            written += 2 * batch
            progress(written)
        await write_accounts(connection, accounts)
