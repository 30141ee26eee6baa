"""What each role of the database may do: the API asks for transfers, a worker moves money, auditors read the books."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import APPLICATION_ROLE, WORKER_ROLE, Database
from ledger.postgres.book import Book
from ledger.transfers import Ending, State, Step
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.orders import FINGERPRINTS, Holder, funded, holder, order

# By columns, because the first two have a derived one.
WORKERS_ALONE = (
    (
        "INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, "
        "currency, recorded_at) SELECT transfer_id, attempt, 'refund', credit_account_id, debit_account_id, "
        "amount_minor, currency, recorded_at FROM postings"
    ),
    "INSERT INTO entries SELECT * FROM entries",
    "UPDATE accounts SET balance_minor = balance_minor + 1",
    "UPDATE accounts SET version = version + 1",
    "UPDATE accounts SET head_hash = head_hash",
    "UPDATE accounts SET spent_day_minor = 0, spent_month_minor = 0, spent_on = NULL",
    (
        "INSERT INTO accounts (id, owner_id, currency, head_hash, balance_minor) "
        "SELECT id, owner_id, 'EUR', head_hash, 100 FROM accounts"
    ),
    (
        "INSERT INTO accounts (id, owner_id, currency, head_hash, number) "
        "SELECT id, owner_id, 'EUR', head_hash, number FROM accounts"
    ),
    "INSERT INTO transfers (id, state) VALUES ('trf_', 'completed')",
    "UPDATE transfers SET screened_by = 'nobody'",
    "INSERT INTO verdicts SELECT * FROM verdicts",
    "INSERT INTO trail_seals SELECT * FROM trail_seals",
    "SELECT drop_trail_month('audit_records', 12)",
)
# What auditors have no business with: who people are, what they write to each other, and every secret.
PERSONAL = re.compile(
    "name$|email|address|password|note|metadata|message|body|number_|document|secret|idempotency|workflow_id|user_agent"
)


@pytest.fixture
async def alice(book: Book, customers: Customers) -> Holder:
    return await funded(customers, book, 100)


@asynccontextmanager
async def acting_as(owner: Connection, role: str) -> AsyncIterator[Connection]:
    await owner.execute(f"SET ROLE {role}")
    try:
        yield owner
    finally:
        await owner.execute("RESET ROLE")


async def test_the_api_cannot_write_postings_entries_balances_and_seals(alice: Holder, owner: Connection) -> None:
    async with acting_as(owner, APPLICATION_ROLE):
        for statement in WORKERS_ALONE:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(statement)


async def test_the_api_opens_a_transfer_cancels_it_and_posts_none(
    database_url: str, alice: Holder, customers: Customers, book: Book
) -> None:
    bob = await holder(customers)
    wanted, other = (order(alice.id, alice.account_id, bob.account_id, amount) for amount in (30, 40))
    async with Database(database_url, connections=1, role=APPLICATION_ROLE) as database:
        asking = Book(database, FINGERPRINTS, record_reversal)
        await asking.open_transfer(wanted)
        await asking.open_transfer(other)
        ended = await asking.end(Ending(Step(other.transfer_id, 1)), State.CANCELLED)
        assert ended.state is State.CANCELLED
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asking.debit(Step(wanted.transfer_id, 1))
    assert (await book.debit(Step(wanted.transfer_id, 1))).state is State.DEBITED


async def test_the_api_cannot_say_that_money_has_moved(
    alice: Holder, customers: Customers, book: Book, owner: Connection
) -> None:
    bob = await holder(customers)
    wanted = order(alice.id, alice.account_id, bob.account_id, 30)
    await book.open_transfer(wanted)
    said = "UPDATE transfers SET state = $2, completed_at = $3 WHERE id = $1"
    async with acting_as(owner, APPLICATION_ROLE):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="by the posting of a worker only"):
            await owner.execute(said, wanted.transfer_id, "debited", None)
    await book.debit(Step(wanted.transfer_id, 1))
    async with acting_as(owner, APPLICATION_ROLE):
        for state in ("completed", "compensated"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="by the posting of a worker only"):
                await owner.execute(said, wanted.transfer_id, state, await owner.fetchval("SELECT now()"))


async def test_no_role_of_the_service_makes_staff_alone(alice: Holder, owner: Connection) -> None:
    for role in (APPLICATION_ROLE, WORKER_ROLE):
        async with acting_as(owner, role):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only by two admins"):
                await owner.execute("UPDATE customers SET role = 'admin' WHERE id = $1", alice.id)


async def test_an_auditor_reads_the_books_and_nobodys_name(alice: Holder, owner: Connection) -> None:
    readable = await owner.fetch(
        "SELECT table_name, column_name FROM information_schema.column_privileges "
        "WHERE grantee IN ('remit_auditor', 'PUBLIC') AND table_schema = 'public' AND privilege_type = 'SELECT'"
    )
    assert [tuple(row) for row in readable if PERSONAL.search(row["column_name"])] == []
    async with acting_as(owner, "remit_auditor"):
        for what in ("sum(amount_minor) FROM entries", "sum(amount_minor) FROM postings", "count(id) FROM transfers"):
            assert await owner.fetchval(f"SELECT {what}")
        assert await owner.fetchval("SELECT customers_minor FROM current_totals") == 100
        assert await owner.fetchval("SELECT balance_minor FROM accounts WHERE id = $1", alice.account_id) == 100
        for table in ("audits", "staff_actions", "trail_seals", "holds", "account_snapshots", "current_transfers"):
            await owner.fetch(f"SELECT * FROM {table}")
        for refused in (
            "SELECT email FROM customers",
            "SELECT name FROM accounts",
            "SELECT note FROM transfers",
            "SELECT address FROM audit_records",
            "SELECT * FROM request_records",
            "SELECT * FROM notifications",
            "SELECT * FROM identity_documents",
            "SELECT * FROM sessions",
            "DELETE FROM entries",
            "INSERT INTO audits (is_full, began_at, findings, audited_until) VALUES (true, now(), 0, now())",
            "UPDATE accounts SET status = 'closed'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(refused)
