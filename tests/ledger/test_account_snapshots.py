"""Snapshots of long accounts: the same totals with them, without them and with tampered ones, and audits check them."""

from datetime import UTC, datetime, timedelta

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import AccountStatistics
from ledger.ids import WORLD
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.postgres.proof.rebuild import rebuild
from ledger.postgres.proof.snapshots import take_due_snapshots
from ledger.refusals import EntriesBroken
from ledger.transfers import Ending, Failure, Step
from tests.connections import Connection
from tests.orders import Holder, completed, deposited, funded, holder, order, reversal

TAKEN = "SELECT version FROM account_snapshots WHERE account_id = $1 ORDER BY version"


async def busy(customers: Customers, book: Book) -> Holder:
    """An account with each kind of entry: 16 of them, and a balance of 868."""
    ada, ben = await funded(customers, book, 1_000), await funded(customers, book, 500)
    for amount in (10, 20, 30):
        await completed(book, order(ada.id, ada.account_id, ben.account_id, amount))
    for amount in (5, 6):
        await completed(book, order(ben.id, ben.account_id, ada.account_id, amount))
    paid = await completed(book, order(ada.id, ada.account_id, ben.account_id, 40))
    await completed(book, reversal(paid, ben.id, 15))
    for _ in range(2):
        lost = order(ada.id, ada.account_id, ben.account_id, 100)
        await book.open_transfer(lost)
        await book.debit(Step(lost.transfer_id, 1))
        await book.refund(Ending(Step(lost.transfer_id, 1), Failure("account_frozen", "Frozen.")))
    await completed(book, order(ada.id, ada.account_id, WORLD, 70))
    back = order(ada.id, ada.account_id, WORLD, 80)
    await book.open_transfer(back)
    await book.debit(Step(back.transfer_id, 1))
    await book.refund(Ending(Step(back.transfer_id, 1), Failure("cancelled", "Cancelled.")))
    await deposited(book, ada.id, ada.account_id, 12)
    return ada


def figures(found: AccountStatistics) -> dict[str, tuple[int, int]]:
    return {
        "deposits": (found.deposits, found.deposited_minor),
        "withdrawals": (found.withdrawals, found.withdrawn_minor),
        "incoming": (found.incoming, found.incoming_minor),
        "outgoing": (found.outgoing, found.outgoing_minor),
    }


async def snapshots(owner: Connection, database: Database, every: int) -> None:
    """Take what is due of all that happened in this test."""
    await owner.execute("SELECT take_snapshots((SELECT array_agg(id) FROM accounts), $1)", every)


async def test_statistics_count_each_kind_and_take_off_what_came_back(
    customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    ada = await busy(customers, book)
    found = await account_reads.statistics(ada.account_id)
    assert figures(found) == {
        "deposits": (2, 1_012),
        "withdrawals": (1, 70),
        "incoming": (3, 26),
        "outgoing": (4, 100),
    }
    account = await account_reads.find(ada.account_id)
    assert account is not None
    assert (found.balance_minor, found.version) == (account.balance_minor, account.version) == (868, 16)
    newest = (await account_reads.entries(ada.account_id, below_version=100, limit=1)).items[0]
    assert found.last_activity_at == newest.recorded_at


async def test_statistics_of_an_account_without_entries_are_zero(
    customers: Customers, account_reads: AccountReads
) -> None:
    found = await account_reads.statistics((await holder(customers)).account_id)
    assert set(figures(found).values()) == {(0, 0)}
    assert (found.version, found.balance_minor, found.last_activity_at) == (0, 0, None)


@pytest.mark.parametrize("every", [1, 3, 4, 100])
async def test_totals_are_the_same_with_and_without_snapshots(
    customers: Customers, book: Book, account_reads: AccountReads, owner: Connection, database: Database, every: int
) -> None:
    ada = await busy(customers, book)
    without = await account_reads.statistics(ada.account_id)
    await snapshots(owner, database, every)
    taken = [row["version"] for row in await owner.fetch(TAKEN, ada.account_id)]
    assert taken == list(range(every, without.version + 1, every))
    assert await account_reads.statistics(ada.account_id) == without
    await deposited(book, ada.id, ada.account_id, 8)
    after = await account_reads.statistics(ada.account_id)
    await snapshots(owner, database, every)
    assert await account_reads.statistics(ada.account_id) == after
    assert (await audit(database, full=True)).clean
    await owner.execute("DELETE FROM account_snapshots")
    assert await account_reads.statistics(ada.account_id) == after


async def test_a_snapshot_of_another_state_than_its_entrys_is_ignored(
    customers: Customers, book: Book, account_reads: AccountReads, owner: Connection, database: Database
) -> None:
    ada = await busy(customers, book)
    true = await account_reads.statistics(ada.account_id)
    await snapshots(owner, database, 5)
    await owner.execute(
        "UPDATE account_snapshots SET balance_minor = balance_minor + 7, deposited_minor = deposited_minor + 7"
    )
    assert await account_reads.statistics(ada.account_id) == true
    await owner.execute("DELETE FROM account_snapshots")


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    "tampering",
    [
        "deposits = deposits + 1",
        "deposited_minor = deposited_minor + 5, withdrawn_minor = withdrawn_minor + 5",
        "incoming_minor = incoming_minor + 5, outgoing_minor = outgoing_minor + 5",
        "recorded_at = recorded_at + interval '1 hour'",
        "hash = sha256('')",
    ],
)
async def test_a_full_audit_finds_a_tampered_snapshot(
    customers: Customers, book: Book, owner: Connection, database: Database, tampering: str
) -> None:
    ada = await busy(customers, book)
    await snapshots(owner, database, 5)
    assert (await audit(database, full=True)).clean
    await owner.execute(
        f"UPDATE account_snapshots SET {tampering} WHERE account_id = $1 AND version = 10", ada.account_id
    )
    found = await audit(database, full=True)
    named = {(one.invariant, one.subject) for one in found.broken}
    assert ("account_snapshot", f"{ada.account_id} version 10") in named
    assert {invariant for invariant, _ in named} == {"account_snapshot"}


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(("version", "is_proved"), [(3, True), (16, True), (17, False), (18, False)])
async def test_a_rebuild_reads_what_no_audit_has_proved_and_no_more(
    customers: Customers, book: Book, owner: Connection, database: Database, version: int, *, is_proved: bool
) -> None:
    ada = await busy(customers, book)
    assert (await audit(database)).clean  # up to entry 16
    await deposited(book, ada.id, ada.account_id, 8)
    await deposited(book, ada.id, ada.account_id, 9)
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        # An edit that the head's own hash does not show.
        column = "recorded_at = recorded_at + interval '1 microsecond'"
        await owner.execute(
            f"UPDATE entries SET {column} WHERE account_id = $1 AND version = $2", ada.account_id, version
        )
        await owner.execute("UPDATE accounts SET balance_minor = 1, version = 1 WHERE id = $1", ada.account_id)
    async with database.transaction() as connection:
        if is_proved:
            rebuilt = await rebuild(connection, ada.account_id)
            assert (rebuilt.balance_minor, rebuilt.version) == (885, 18)
        else:
            with pytest.raises(EntriesBroken, match=f"the hash of version {version}"):
                await rebuild(connection, ada.account_id)
    assert not (await audit(database, full=True)).clean


async def test_the_application_cannot_write_snapshots(database: Database) -> None:
    for statement in ("DELETE FROM account_snapshots", "UPDATE snapshots_position SET looked_until = now()"):
        with pytest.raises(Exception, match="permission denied"):
            async with database.connection() as connection:
                await connection.execute(statement)


async def test_snapshots_that_are_due_are_taken_for_accounts_that_moved_money_since_the_last_look(
    customers: Customers, book: Book, owner: Connection, database: Database
) -> None:
    ada = await busy(customers, book)
    quiet = await holder(customers)
    await take_due_snapshots(database, 5)
    assert await owner.fetch(TAKEN, ada.account_id) == []  # too new to be looked at
    # As if it had happened half a minute ago, and the last look before it.
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("UPDATE postings SET recorded_at = recorded_at - interval '30 seconds'")
        await owner.execute("UPDATE snapshots_position SET looked_until = now() - interval '2 minutes'")
        await owner.execute("SET LOCAL session_replication_role = origin")
    await take_due_snapshots(database, 5)
    assert [row["version"] for row in await owner.fetch(TAKEN, ada.account_id)] == [5, 10, 15]
    assert await owner.fetch(TAKEN, quiet.account_id) == []
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("UPDATE postings SET recorded_at = recorded_at + interval '30 seconds'")


async def test_the_balance_at_a_moment_is_that_after_the_last_entry_of_then(
    customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    ada = await busy(customers, book)
    lines = (await account_reads.entries(ada.account_id, below_version=100, limit=50)).items[::-1]
    a_moment = timedelta(microseconds=1)
    for line in lines:
        at = await account_reads.balance_at(ada.account_id, line.recorded_at)
        assert (at.version, at.balance_minor, at.at) == (line.version, line.balance_after, line.recorded_at)
        before = await account_reads.balance_at(ada.account_id, line.recorded_at - a_moment)
        assert (before.version, before.balance_minor) == (line.version - 1, line.balance_before)
    to_come = await account_reads.balance_at(ada.account_id, datetime.now(UTC) + timedelta(days=1))
    assert (to_come.version, to_come.balance_minor) == (lines[-1].version, lines[-1].balance_after)
    assert to_come.at < datetime.now(UTC) + timedelta(minutes=1)
    empty = await account_reads.balance_at((await holder(customers)).account_id, datetime.now(UTC))
    assert (empty.version, empty.balance_minor) == (0, 0)


@pytest.mark.breaks_the_books
async def test_the_balance_at_a_moment_is_found_although_an_entry_was_deleted(
    customers: Customers, book: Book, account_reads: AccountReads, owner: Connection
) -> None:
    ada = await busy(customers, book)
    lines = (await account_reads.entries(ada.account_id, below_version=100, limit=50)).items
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("DELETE FROM entries WHERE account_id = $1 AND version = 9", ada.account_id)
    at = await account_reads.balance_at(ada.account_id, lines[0].recorded_at)
    assert (at.version, at.balance_minor) == (16, 868)
