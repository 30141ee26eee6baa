"""Makes customers, accounts and first balances by the ledger's own steps."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import timedelta

import asyncpg

from api.auth.passwords import hash_password
from api.transfers.acceptance import TransferRequest, order_for
from bench.traffic.population import CURRENCY, PASSWORD, Holder
from customers.documents.document import VERIFIED, DocumentType, NewDocument
from customers.postgres import Customers
from customers.sessions.postgres import Sessions
from customers.sessions.session import Session
from customers.sign_ins.networks import client_at
from database.connections import WORKER_ROLE, Database
from database.encryption import Encryption
from ledger.fingerprints import Fingerprints
from ledger.ids import WORLD
from ledger.postgres.book import Book
from ledger.transfers import Step
from staff.postgres.reversal_record import record_reversal

# Enough for any run, and far from the limit of a balance.
FIRST_BALANCE_MINOR = 1_000_000_000_000
AT_ONCE = 16

# Its accounts hold and send more than any customer's, so they have no limits. What they send is counted all the same.
_WITHOUT_LIMITS = "UPDATE accounts SET tier = 3 WHERE id = $1"
# Nobody reads these numbers: no key decrypts them after the run.
_THROWN_AWAY = Encryption([secrets.token_hex(32)])
_DOCUMENT = NewDocument(DocumentType.NIN, "12345678901", VERIFIED)


async def fill(
    database_url: str, fingerprints: Fingerprints, accounts: int, session_seconds: int, token: Callable[[Session], str]
) -> list[Holder]:
    """Make this many customers, each signed in and with an account funded by a deposit.

    One hash is the password of all, which saves time.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    password_hash = await hash_password(PASSWORD, client_at("127.0.0.1"))
    async with Database(database_url, AT_ONCE, "remit-bench", role=WORKER_ROLE) as database:
        customers, book = Customers(database, _THROWN_AWAY), Book(database, fingerprints, record_reversal)
        sessions = Sessions(database, timedelta(seconds=session_seconds), timedelta(0))

        async def one() -> Holder:
            async with turns:
                name = secrets.token_hex(8)
                email = f"{name}@example.com"
                customer, account = await customers.register(email, password_hash, name, _DOCUMENT, CURRENCY)
                async with database.connection() as connection:
                    await connection.execute(_WITHOUT_LIMITS, account.id)
                deposit = order_for(
                    customer.id, "first", TransferRequest(WORLD, account.id, FIRST_BALANCE_MINOR, CURRENCY)
                )
                await book.open_transfer(fingerprints.signed(deposit))
                await book.debit(Step(deposit.transfer_id, 1))
                await book.credit(Step(deposit.transfer_id, 1, account.id))
                session = await sessions.start(customer, client_at("127.0.0.1"))
                return Holder(customer.id, account.id, token(session), email)

        made = await asyncio.gather(*(one() for _ in range(accounts)))
    return list(made)


async def copy_database(server_url: str, source: str, copies: list[str]) -> None:
    """Copy the source database under each of these names. No client may be connected to the source."""
    connection = await asyncpg.connect(server_url)
    try:
        for name in copies:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"', timeout=120)
    finally:
        await connection.close()
