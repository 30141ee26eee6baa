"""Two systems without a workflow engine: the ledger's own steps, and the whole transfer as one SQL transaction."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.postgres import plain
from bench.systems.system import DATABASE_CONNECTIONS, Setting, Transfer
from database.connections import WORKER_ROLE, Database
from ledger.postgres.book import Book
from ledger.transfers import Step, TransferOrder
from staff.postgres.reversal_record import record_reversal


@asynccontextmanager
async def ledger_steps(setting: Setting) -> AsyncIterator[Mapping[str, Transfer]]:
    """`steps`: open, debit, credit, each a transaction of its own, as the saga's steps call them."""
    async with Database(setting.database_url, DATABASE_CONNECTIONS, "bench-steps", role=WORKER_ROLE) as database:
        book = Book(database, setting.fingerprints, record_reversal)

        async def transfer(order: TransferOrder) -> str:
            await book.open_transfer(order)
            await book.debit(Step(order.transfer_id, order.attempt, order.source_account_id))
            credited = await book.credit(Step(order.transfer_id, order.attempt, order.destination_account_id))
            return credited.state.value

        yield {"steps": transfer}


@asynccontextmanager
async def one_transaction(setting: Setting) -> AsyncIterator[Mapping[str, Transfer]]:
    """`transaction`: key, both accounts, posting and both entries in one transaction."""
    await plain.prepare(setting.database_url)
    async with plain.connections(setting.database_url, DATABASE_CONNECTIONS) as pool:

        async def transfer(order: TransferOrder) -> str:
            return await plain.transfer(pool, order)

        yield {"transaction": transfer}
