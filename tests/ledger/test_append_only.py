"""What the database refuses by itself: to its owner by triggers and constraints, to the application by privileges."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import WORKER_ROLE
from ledger.ids import SYSTEM_CUSTOMER, WORLD
from ledger.postgres.book import Book
from ledger.transfers import Step
from tests.connections import Connection
from tests.orders import Holder, funded, holder, order

CHANGES = [
    "UPDATE {table} SET amount_minor = amount_minor + 1",
    "UPDATE {table} SET amount_minor = amount_minor WHERE false",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE false",
    "TRUNCATE {table} CASCADE",
    "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET amount_minor = 1",
    "MERGE INTO {table} t USING {table} o ON t.transfer_id = o.transfer_id WHEN MATCHED THEN DELETE",
]
# A posting's id is derived, so it cannot be inserted as it was read.
COLUMNS = {
    "postings": "transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, currency, recorded_at",
    "entries": "account_id, version, transfer_id, attempt, leg, amount_minor, balance_before, balance_after, "
    "recorded_at, hash",
}
KEYS = {"postings": "transfer_id, attempt, leg", "entries": "account_id, version"}


@dataclass(frozen=True)
class Scene:
    """Alice has deposited 100, and 30 of it are on their way to bob."""

    alice: Holder
    bob: Holder
    step: Step


@pytest.fixture
async def scene(book: Book, customers: Customers) -> Scene:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    wanted = order(alice.id, alice.account_id, bob.account_id, 30)
    await book.open_transfer(wanted)
    step = Step(wanted.transfer_id, 1)
    await book.debit(step)
    return Scene(alice, bob, step)


@pytest.fixture
async def application(owner: Connection) -> AsyncIterator[Connection]:
    """The owner's connection under the role of workers, who may write more than the rest of the application."""
    await owner.execute(f"SET ROLE {WORKER_ROLE}")
    yield owner
    await owner.execute("RESET ROLE")


def change(statement: str, table: str) -> str:
    if statement.startswith("INSERT"):
        statement = statement.replace("INTO {table} SELECT *", "INTO {table} ({columns}) SELECT {columns}")
    return statement.format(table=table, key=KEYS[table], columns=COLUMNS[table])


# Append-only


@pytest.mark.parametrize("table", ["postings", "entries"])
async def test_the_owner_cannot_change_what_was_written(scene: Scene, owner: Connection, table: str) -> None:
    for statement in CHANGES:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"{table} is append-only"):
            await owner.execute(change(statement, table))


@pytest.mark.parametrize("table", ["postings", "entries"])
async def test_the_application_is_not_granted_to_change_what_was_written(
    scene: Scene, application: Connection, table: str
) -> None:
    for statement in CHANGES:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"permission denied for table {table}"):
            await application.execute(change(statement, table))


async def test_a_row_that_postings_or_entries_refer_to_cannot_be_removed(scene: Scene, owner: Connection) -> None:
    for table in ("transfers", "accounts", "customers"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is append-only"):
            await owner.execute(f"TRUNCATE {table} CASCADE")
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await owner.execute(f"DELETE FROM {table} WHERE id <> $1", SYSTEM_CUSTOMER)


async def test_the_application_cannot_take_a_defence_away(application: Connection) -> None:
    for statement in (
        "ALTER TABLE postings DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON entries",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
        "ALTER TABLE accounts DROP CONSTRAINT accounts_balance_minor_check",
        "DROP TABLE notifications",
        "CREATE TABLE mine (id text)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute(statement)


# The application's role

FIXED = {
    "transfers": (
        "id",
        "owner_id",
        "idempotency_key",
        "fingerprint",
        "kind",
        "source_account_id",
        "destination_account_id",
        "amount_minor",
        "currency",
        "note",
        "transaction_id",
        "all_that_is_left",
        "created_at",
        "reverses_transfer_id",
        "metadata",
    ),
    "accounts": ("id", "owner_id", "currency", "created_at"),
    "identity_documents": ("id", "customer_id", "type", "last_characters", "submitted_at"),
    "customers": ("id", "email", "full_name", "created_at"),
}


@pytest.mark.parametrize("table", FIXED)
async def test_the_application_cannot_change_what_is_fixed_from_the_start(
    scene: Scene, application: Connection, table: str
) -> None:
    for column in FIXED[table]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute(f"UPDATE {table} SET {column} = {column}")


async def test_the_application_cannot_remove_what_happened(scene: Scene, application: Connection) -> None:
    for table in ("transfers", "accounts", "customers", "notifications"):
        for statement in ("DELETE FROM {table} WHERE false", "TRUNCATE {table} CASCADE"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await application.execute(statement.format(table=table))


async def test_a_worker_works_as_its_own_role(scene: Scene, book: Book) -> None:
    async with book._database.connection() as connection:  # noqa: SLF001 - there is no other way to ask
        assert await connection.fetchval("SELECT current_user") == WORKER_ROLE


# Constraints, for whoever writes


async def test_a_transition_that_the_table_forbids_is_refused(scene: Scene, application: Connection) -> None:
    for state in ("initiated", "in_review", "debited", "failed", "cancelled"):
        with pytest.raises(asyncpg.CheckViolationError, match=f"may not go from debited to {state}"):
            await application.execute("UPDATE transfers SET state = $2 WHERE id = $1", scene.step.transfer_id, state)


async def test_a_final_state_and_its_time_come_together(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await application.execute("UPDATE transfers SET state = 'completed' WHERE id = $1", scene.step.transfer_id)
    with pytest.raises(asyncpg.CheckViolationError):
        await application.execute("UPDATE transfers SET completed_at = now() WHERE id = $1", scene.step.transfer_id)


async def test_a_negative_balance_is_refused(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="accounts_balance_minor_check"):
        await application.execute("UPDATE accounts SET balance_minor = -1 WHERE id = $1", scene.bob.account_id)


async def test_a_posting_is_made_once_an_attempt_and_leg(scene: Scene, application: Connection) -> None:
    transfer_id = await application.fetchval("SELECT id FROM transfers WHERE kind = 'deposit'")
    for leg, debit, credit in (("debit", WORLD, "clearing"), ("credit", "clearing", WORLD)):
        with pytest.raises(asyncpg.UniqueViolationError, match="postings_pkey"):
            await _post(application, transfer_id, leg, debit, credit)


async def test_an_entry_is_made_once_a_version(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="entries_pkey"):
        await application.execute(f"INSERT INTO entries SELECT {COLUMNS['entries']} FROM entries")


async def test_every_posting_has_one_foot_in_clearing(scene: Scene, application: Connection) -> None:
    alice, bob = scene.alice.account_id, scene.bob.account_id
    for leg, debit, credit in (("debit", alice, bob), ("credit", alice, bob), ("refund", bob, alice)):
        with pytest.raises(asyncpg.CheckViolationError, match="postings_check"):
            await _post(application, scene.step.transfer_id, leg, debit, credit, attempt=2)


async def test_an_amount_out_of_range_is_refused(scene: Scene, application: Connection) -> None:
    for amount_minor in (0, -1, 2**53):
        with pytest.raises(asyncpg.CheckViolationError, match="postings_amount_minor_check"):
            await _post(application, scene.step.transfer_id, "credit", "clearing", WORLD, amount_minor=amount_minor)


async def test_a_posting_needs_its_transfer_and_an_entry_its_posting(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await _post(application, "trf_" + "a" * 26, "debit", WORLD, "clearing")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await application.execute(
            "INSERT INTO entries SELECT account_id, version + 10, transfer_id, 3, leg, amount_minor, balance_before, "
            "balance_after, recorded_at, hash FROM entries"
        )


async def test_an_entry_that_does_not_add_up_is_refused(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="entries_check"):
        await application.execute(
            "INSERT INTO entries SELECT account_id, version + 10, transfer_id, attempt, leg, amount_minor + 1, "
            "balance_before, balance_after, recorded_at, hash FROM entries"
        )


async def test_a_key_names_one_transfer_of_its_customer(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="keys_pkey"):
        await application.execute(
            "INSERT INTO keys (owner_id, idempotency_key, transfer_id) "
            "SELECT owner_id, idempotency_key, transfer_id FROM keys WHERE transfer_id = $1",
            scene.step.transfer_id,
        )


async def test_a_key_names_a_transfer_that_exists(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="keys_transfer_id_fkey"):
        await application.execute(
            "INSERT INTO keys (owner_id, idempotency_key, transfer_id) "
            "SELECT owner_id, 'another', 'trf_' || repeat('a', 26) FROM keys WHERE transfer_id = $1",
            scene.step.transfer_id,
        )


async def test_a_customer_holds_one_account_a_currency(scene: Scene, application: Connection) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="accounts_owner_id_currency_key"):
        await application.execute(
            "INSERT INTO accounts (id, owner_id, currency, head_hash) SELECT $2, owner_id, currency, head_hash "
            "FROM accounts WHERE id = $1",
            scene.alice.account_id,
            "acc_" + "a" * 26,
        )


async def test_an_attempt_never_changes_without_the_state(scene: Scene, application: Connection) -> None:
    trial = application.transaction()
    await trial.start()
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await application.execute("UPDATE transfers SET attempt = 2 WHERE id = $1", scene.step.transfer_id)
    finally:
        await trial.rollback()


async def _post(
    connection: Connection,
    transfer_id: str,
    leg: str,
    debit: str,
    credit: str,
    *,
    attempt: int = 1,
    amount_minor: int = 30,
) -> None:
    await connection.execute(
        f"INSERT INTO postings ({COLUMNS['postings']}) VALUES ($1, $2, $3, $4, $5, $6, 'USD', now())",
        *(transfer_id, attempt, leg, debit, credit, amount_minor),
    )
