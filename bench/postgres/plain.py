"""The whole transfer as one SQL transaction: what a user without Temporal would write.

Double entry with an idempotency key, both accounts locked in the order of their ids, and an entry for each. It has no
workflow, no clearing account, no hash chain and no triggers, and it cannot include a step outside of this database.
"""

from contextlib import AbstractAsyncContextManager

import asyncpg

from ledger.transfers import TransferOrder

SCHEMA = """
CREATE SCHEMA plain;
CREATE TABLE plain.accounts (
    id text PRIMARY KEY, balance_minor bigint NOT NULL CHECK (balance_minor >= 0), version bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE plain.transfers (
    id text PRIMARY KEY, owner_id text NOT NULL, idempotency_key text NOT NULL, source_account_id text NOT NULL,
    destination_account_id text NOT NULL, amount_minor bigint NOT NULL, currency text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (owner_id, idempotency_key)
);
CREATE TABLE plain.postings (
    transfer_id text PRIMARY KEY REFERENCES plain.transfers, debit_account_id text NOT NULL,
    credit_account_id text NOT NULL, amount_minor bigint NOT NULL
);
CREATE TABLE plain.entries (
    account_id text NOT NULL REFERENCES plain.accounts, version bigint NOT NULL,
    transfer_id text NOT NULL REFERENCES plain.postings, amount_minor bigint NOT NULL, balance_after bigint NOT NULL,
    PRIMARY KEY (account_id, version)
);
INSERT INTO plain.accounts SELECT id, balance_minor, 0 FROM accounts;
"""

_OPEN = """
    INSERT INTO plain.transfers (id, owner_id, idempotency_key, source_account_id, destination_account_id, amount_minor,
        currency)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id
"""
_LOCK = "SELECT id, balance_minor FROM plain.accounts WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE"
_MOVE = """
    UPDATE plain.accounts SET version = version + 1,
        balance_minor = balance_minor + CASE id WHEN $1 THEN -$3::bigint ELSE $3::bigint END
    WHERE id IN ($1, $2) RETURNING id, version, balance_minor
"""
_POST = "INSERT INTO plain.postings VALUES ($1, $2, $3, $4)"
_ENTER = "INSERT INTO plain.entries VALUES ($1, $2, $3, $4, $5)"

_BROKEN = """
    SELECT count(*) FROM plain.accounts a JOIN public.accounts first USING (id)
    WHERE a.balance_minor <> first.balance_minor
        + coalesce((SELECT sum(amount_minor) FROM plain.entries e WHERE e.account_id = a.id), 0)
"""


async def prepare(database_url: str) -> None:
    """Create the tables, and copy the existing accounts and balances into them."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(SCHEMA)
    finally:
        await connection.close()


def connections(database_url: str, number: int) -> "AbstractAsyncContextManager[asyncpg.Pool[asyncpg.Record]]":
    """A pool of at most this many connections, opened on demand."""
    return asyncpg.create_pool(database_url, min_size=0, max_size=number, server_settings={"jit": "off"})


async def transfer(pool: "asyncpg.Pool[asyncpg.Record]", order: TransferOrder) -> str:
    """Make the transfer: `completed` or `failed`. A repeated key returns `completed` and moves no money."""
    source, destination, amount = order.source_account_id, order.destination_account_id, order.amount_minor
    async with pool.acquire() as connection, connection.transaction():
        opened = await connection.fetchval(
            _OPEN,
            order.transfer_id,
            order.owner_id,
            order.idempotency_key,
            source,
            destination,
            amount,
            order.currency,
        )
        if opened is None:
            return "completed"
        balances = {row["id"]: row["balance_minor"] for row in await connection.fetch(_LOCK, source, destination)}
        if balances[source] < amount:
            return "failed"
        moved = {row["id"]: row for row in await connection.fetch(_MOVE, source, destination, amount)}
        await connection.execute(_POST, order.transfer_id, source, destination, amount)
        await connection.executemany(
            _ENTER,
            [
                (account, moved[account]["version"], order.transfer_id, signed, moved[account]["balance_minor"])
                for account, signed in ((source, -amount), (destination, amount))
            ],
        )
    return "completed"


async def broken_accounts(database_url: str) -> int:
    """The number of accounts whose balance is not the sum of their entries."""
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval(_BROKEN, timeout=60))
    finally:
        await connection.close()
