"""A rebuild writes what the entries require, names what is broken, and goes on from its place whatever crashes."""

import asyncio
from typing import Any

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import Account
from ledger.ids import AccountId
from ledger.postgres import locks
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.transfers import Ending, Step
from staff.account_actions import NoSuchAccount
from staff.actions import Outcome, StaffAction
from staff.permissions import Actor, Role
from staff.postgres.actions import ActionSearch, StaffActions
from staff.rebuilds import postgres as walk
from staff.rebuilds.postgres import Rebuilds
from staff.rebuilds.rebuild import RebuildFinding, RebuildOutcome, RebuildProgress, RebuildState
from tests.connections import Connection
from tests.orders import Holder, completed, funded, holder, order, staff

REASON = "Asked for by the bank, ticket 4711"
FALSIFY = "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1"


@pytest.fixture
def rebuilds(database: Database) -> Rebuilds:
    return Rebuilds(database)


@pytest.fixture
async def admin(database: Database) -> Actor:
    return Actor(await staff(database), Role.ADMIN)


@pytest.fixture
async def alice(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def bob(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


async def rebuilt(
    rebuilds: Rebuilds, admin: Actor, account_id: AccountId | None = None
) -> tuple[RebuildProgress, list[RebuildFinding]]:
    """How it ended, and what it found, oldest first."""
    requested = await rebuilds.request(admin, account_id, REASON)
    ended = await rebuilds.proceed(requested.id, 60)
    return ended, (await rebuilds.findings(requested.id, 50)).items[::-1]


async def about(database: Database, subject: str) -> list[StaffAction]:
    """The record of a subject, oldest first."""
    return (await StaffActions(database).find(ActionSearch(subject=subject), 100)).items[::-1]


async def account_of(account_reads: AccountReads, of: Holder) -> Account:
    found = await account_reads.find(of.account_id)
    assert found is not None
    return found


async def pay(book: Book, payer: Holder, payee: Holder, amount_minor: int) -> None:
    await completed(book, order(payer.id, payer.account_id, payee.account_id, amount_minor))


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1",
        "UPDATE accounts SET version = version - 1 WHERE id = $1",
        "UPDATE accounts SET balance_minor = 0, version = 0, head_hash = sha256(convert_to(id, 'UTF8')) WHERE id = $1",
    ],
)
async def test_an_account_row_that_was_edited_is_rebuilt_from_its_entries(
    rebuilds: Rebuilds,
    account_reads: AccountReads,
    book: Book,
    database: Database,
    admin: Actor,
    alice: Holder,
    bob: Holder,
    owner: Connection,
    tampering: str,
) -> None:
    await pay(book, alice, bob, 2_500)
    whole = await account_of(account_reads, alice)
    await owner.execute(tampering, alice.account_id)
    edited = await account_of(account_reads, alice)
    assert not (await audit(database)).clean
    ended, (finding,) = await rebuilt(rebuilds, admin, alice.account_id)
    assert (ended.state, ended.accounts_done, ended.rebuilt, ended.left) == (RebuildState.COMPLETED, 1, 1, 0)
    assert await account_of(account_reads, alice) == whole
    was, now = (
        {"balance": each.balance_minor, "version": each.version, "head_hash": each.head_hash.hex()}
        for each in (edited, whole)
    )
    changed = [name for name in was if was[name] != now[name]]
    assert (finding.before, finding.after) == ({n: was[n] for n in changed}, {n: now[n] for n in changed})
    requested, done = await about(database, alice.account_id)
    assert (requested.outcome, requested.after) == (Outcome.TAKEN, {"accounts": 1, "rebuilt": 1, "left": 0})
    assert (done.actor_id, done.reason, done.before, done.after) == (admin.id, REASON, finding.before, finding.after)
    await pay(book, alice, bob, 2_500)


async def test_rebuilding_accounts_that_are_right_changes_nothing(
    rebuilds: Rebuilds,
    account_reads: AccountReads,
    book: Book,
    customers: Customers,
    admin: Actor,
    alice: Holder,
    bob: Holder,
) -> None:
    empty = await holder(customers)
    await pay(book, alice, bob, 100)
    refunded = order(alice.id, alice.account_id, bob.account_id, 50)
    await book.open_transfer(refunded)
    await book.debit(Step(refunded.transfer_id, 1))
    for _ in range(2):
        before = [await account_of(account_reads, each) for each in (alice, bob, empty)]
        ended, found = await rebuilt(rebuilds, admin)
        assert (ended.accounts_done, ended.accounts_total, found) == (3, 3, [])
        assert [await account_of(account_reads, each) for each in (alice, bob, empty)] == before
        await book.refund(Ending(Step(refunded.transfer_id, 1)))


TAMPERED = {
    "an entry's amount": "UPDATE entries SET amount_minor = 9000, balance_after = 9000 WHERE {mine} AND version = 1",
    "an entry's time": "UPDATE entries SET recorded_at = recorded_at - interval '1 day' WHERE {mine} AND version = 2",
    "an entry's hash": "UPDATE entries SET hash = sha256('') WHERE {mine} AND version = 3",
    "an entry in the middle is gone": "DELETE FROM entries WHERE {mine} AND version = 2",
    "the last entry is gone": "DELETE FROM entries WHERE {mine} AND version = 3",
    "a posting's amount": "UPDATE postings SET amount_minor = 1 WHERE debit_account_id = $1",
    "a posting's currency": "UPDATE postings SET currency = 'EUR' WHERE debit_account_id = $1",
    "the last entry and its posting are gone": """
        WITH gone AS (DELETE FROM entries WHERE {mine} AND version = 3 RETURNING transfer_id, attempt, leg)
        DELETE FROM postings p USING gone g WHERE (p.transfer_id, p.attempt, p.leg) = (g.transfer_id, g.attempt, g.leg)
    """,
}


@pytest.mark.breaks_the_books
async def test_a_rebuild_of_all_accounts_mends_falsified_balances_and_leaves_and_names_broken_chains(
    rebuilds: Rebuilds,
    account_reads: AccountReads,
    book: Book,
    customers: Customers,
    database: Database,
    admin: Actor,
    alice: Holder,
    bob: Holder,
    owner: Connection,
) -> None:
    broken = {what: await funded(customers, book, 10_000) for what in TAMPERED}
    shop = await holder(customers)
    for payer in (*broken.values(), alice):
        for _ in range(2):
            await pay(book, payer, shop, 1_000)
    right = await account_of(account_reads, alice), await account_of(account_reads, bob)
    await owner.execute("SET session_replication_role = replica")
    for what, payer in broken.items():
        await owner.execute(TAMPERED[what].format(mine="account_id = $1"), payer.account_id)
        await owner.execute("UPDATE accounts SET balance_minor = 7 WHERE id = $1", payer.account_id)
    await owner.executemany(FALSIFY, [(alice.account_id,), (bob.account_id,)])
    left_alone = [await account_of(account_reads, payer) for payer in broken.values()]

    ended, found = await rebuilt(rebuilds, admin)

    assert [await account_of(account_reads, payer) for payer in broken.values()] == left_alone
    assert (await account_of(account_reads, alice), await account_of(account_reads, bob)) == right
    by_account = {each.account_id: each for each in found}
    assert {by_account[each.account_id].outcome for each in (alice, bob)} == {RebuildOutcome.REBUILT}
    assert (by_account[bob.account_id].before, by_account[bob.account_id].after) == (
        {"balance": 10_001},
        {"balance": 10_000},
    )
    for what, payer in broken.items():
        finding = by_account[payer.account_id]
        assert (finding.outcome, finding.code) == (RebuildOutcome.LEFT, "entries_broken"), what
        assert f"The entries of account {payer.account_id} are not what was written" in str(finding.detail)
    assert (ended.accounts_done, ended.rebuilt, ended.left) == (11, 2, len(found) - 2)
    (recorded,) = await about(database, "books")
    assert recorded.after == {"accounts": 11, "rebuilt": 2, "left": ended.left}


@pytest.mark.breaks_the_books
async def test_a_refused_rebuild_of_one_account_is_on_record_with_its_reason(
    rebuilds: Rebuilds, database: Database, admin: Actor, alice: Holder, owner: Connection
) -> None:
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE entries SET hash = sha256('') WHERE account_id = $1", alice.account_id)
    await rebuilt(rebuilds, admin, alice.account_id)
    (recorded,) = await about(database, alice.account_id)
    assert (recorded.outcome, recorded.code) == (Outcome.REFUSED, "entries_broken")
    assert "the hash of version 1" in str(recorded.answer)


async def test_an_account_in_order_is_looked_at_without_its_lock(
    rebuilds: Rebuilds, admin: Actor, alice: Holder, owner: Connection
) -> None:
    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", alice.account_id)
        ended, found = await rebuilt(rebuilds, admin)
    assert (ended.accounts_done, found) == (1, [])


async def test_an_account_that_somebody_holds_holds_up_no_other_and_is_named(
    rebuilds: Rebuilds,
    account_reads: AccountReads,
    admin: Actor,
    alice: Holder,
    bob: Holder,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "STAFF_LOCK_SECONDS", 0.2)
    await owner.executemany(FALSIFY, [(alice.account_id,), (bob.account_id,)])
    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", alice.account_id)
        ended, found = await rebuilt(rebuilds, admin)
    assert (ended.rebuilt, ended.left) == (1, 1)
    assert {(each.account_id, each.code) for each in found} == {
        (alice.account_id, "account_busy"),
        (bob.account_id, None),
    }
    await rebuilt(rebuilds, admin)
    assert (await account_of(account_reads, alice)).balance_minor == 10_000


@pytest.mark.parametrize("locks_all", [False, True])
async def test_transfers_during_a_rebuild_end_with_the_right_balances(
    rebuilds: Rebuilds,
    account_reads: AccountReads,
    customers: Customers,
    book: Book,
    admin: Actor,
    alice: Holder,
    bob: Holder,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
    locks_all: bool,
) -> None:
    if locks_all:

        async def never(*_: object) -> bool:
            return False

        monkeypatch.setattr(walk, "is_as_entries_require", never)
    carol = await funded(customers, book, 10_000)
    ended = asyncio.Event()

    async def rebuild_again_and_again() -> list[int]:
        counts = []
        while not ended.is_set():
            await owner.execute(FALSIFY, carol.account_id)
            counts.append((await rebuilt(rebuilds, admin))[0].rebuilt)
        return counts

    async def there_and_back() -> None:
        for _ in range(8):
            await pay(book, alice, bob, 100)
            await pay(book, bob, alice, 100)

    rebuilding = asyncio.create_task(rebuild_again_and_again())
    await asyncio.gather(*(there_and_back() for _ in range(3)))
    ended.set()
    assert set(await rebuilding) == {1}
    balances = [(await account_of(account_reads, each)).balance_minor for each in (alice, bob, carol)]
    assert balances == [10_000, 10_000, 10_000]


async def test_a_walk_that_is_ended_in_the_middle_goes_on_from_its_place(
    rebuilds: Rebuilds,
    account_reads: AccountReads,
    customers: Customers,
    book: Book,
    admin: Actor,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "ACCOUNTS_AT_ONCE", 2)
    people = sorted([await funded(customers, book, 10_000) for _ in range(6)], key=lambda each: each.account_id)
    await owner.executemany(FALSIFY, [(each.account_id,) for each in people])
    requested = await rebuilds.request(admin, None, REASON)
    looked_at: list[object] = []

    class Killed(Exception):
        pass

    def die_in_the_middle() -> None:
        looked_at.append(None)
        if len(looked_at) == 3:
            raise Killed

    with pytest.raises(Killed):
        await rebuilds.proceed(requested.id, 60, die_in_the_middle)
    found, counts = await rebuilds.find(requested.id)
    assert (found.position, found.accounts_done, counts.rebuilt) == (people[1].account_id, 2, 3)
    assert await rebuilds.running_since(0) == [requested.id]
    ended = await rebuilds.proceed(requested.id, 60, lambda: looked_at.append(None))
    assert (len(looked_at), ended.state, ended.accounts_done, ended.rebuilt) == (3 + 4, RebuildState.COMPLETED, 6, 6)
    assert {(await account_of(account_reads, each)).balance_minor for each in people} == {10_000}
    assert await rebuilds.running_since(0) == []


async def test_two_walks_at_once_report_each_account_once(
    rebuilds: Rebuilds, database: Database, customers: Customers, book: Book, admin: Actor, owner: Connection
) -> None:
    people = [await funded(customers, book, 10_000) for _ in range(5)]
    await owner.executemany(FALSIFY, [(each.account_id,) for each in people])
    requested = await rebuilds.request(admin, None, REASON)
    first, second = await asyncio.gather(*(Rebuilds(database).proceed(requested.id, 60) for _ in range(2)))
    assert first == second
    assert (first.accounts_done, first.accounts_total, first.rebuilt) == (5, 5, 5)
    for each in people:
        assert len(await about(database, each.account_id)) == 1


async def test_a_rebuild_of_an_account_that_does_not_exist_is_refused(rebuilds: Rebuilds, admin: Actor) -> None:
    with pytest.raises(NoSuchAccount):
        await rebuilds.request(admin, AccountId("acc_none"), REASON)


async def test_a_completed_rebuild_never_changes_again(
    rebuilds: Rebuilds, admin: Actor, alice: Holder, owner: Connection
) -> None:
    await rebuilt(rebuilds, admin, alice.account_id)
    changes: list[tuple[str, Any]] = [("state = $1", "running"), ("position = $1", ""), ("accounts_done = $1", 0)]
    for change, value in changes:
        with pytest.raises(Exception, match="does not go back"):
            await owner.execute(f"UPDATE rebuilds SET {change}", value)
