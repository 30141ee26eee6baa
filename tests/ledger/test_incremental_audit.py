"""An audit continues where the last one that found the books clean ended; a full one trusts no earlier audit."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database, Unavailable
from ledger.chain import entry_hash
from ledger.ids import AccountId, PostingId, TransferId
from ledger.postgres.audit import AuditInProgress, audit
from ledger.postgres.book import Book
from ledger.postgres.proof import auditor
from ledger.transfers import Step
from tests.connections import Connection
from tests.ledger.test_running_totals import settle
from tests.orders import FINGERPRINTS, Holder, completed, deposited, funded, holder, order

pytestmark = pytest.mark.breaks_the_books

LOCK = 7_265_420_114

EDITED = """
    SET session_replication_role = replica;
    UPDATE entries SET recorded_at = recorded_at - interval '1 day'
        WHERE account_id = '{account}' AND version = {version};
    SET session_replication_role = DEFAULT
"""

# What only the fingerprint tells of.
ORDER_EDITED = """
    SET session_replication_role = replica;
    UPDATE transfers SET note = 'another';
    SET session_replication_role = DEFAULT
"""

# The newest entries go, and the account's row says so: no hash tells of them.
CUT_OFF = """
    SET session_replication_role = replica;
    DELETE FROM entries WHERE account_id = '{account}' AND version > {version};
    UPDATE accounts a SET version = e.version, balance_minor = e.balance_after, head_hash = e.hash
        FROM entries e WHERE a.id = '{account}' AND (e.account_id, e.version) = ('{account}', {version});
    SET session_replication_role = DEFAULT
"""


GAP = """
    SET session_replication_role = replica;
    UPDATE entries SET version = 1000000000000 WHERE account_id = '{account}' AND version = {version};
    UPDATE accounts SET version = 1000000000000 WHERE id = '{account}';
    SET session_replication_role = DEFAULT
"""


@pytest.fixture
async def ada(customers: Customers, book: Book) -> Holder:
    """With four entries."""
    person = await funded(customers, book, 1_000)
    for _ in range(3):
        await deposited(book, person.id, person.account_id, 10)
    return person


async def invariants(database: Database, *, full: bool = False) -> set[tuple[str, str]]:
    return {(found.invariant, found.subject) for found in (await audit(database, full=full)).broken}


async def test_a_full_audit_finds_what_was_edited_before_the_verified_head_and_another_one_does_not_look(
    database: Database, owner: Connection, book: Book, ada: Holder
) -> None:
    await settle(owner, database)
    assert (await audit(database, FINGERPRINTS)).clean
    await deposited(book, ada.id, ada.account_id, 10)
    await owner.execute(EDITED.format(account=ada.account_id, version=2))
    later = await audit(database, FINGERPRINTS)
    assert (later.clean, later.since is not None) == (True, True)
    assert ("hash_chain", f"{ada.account_id} version 2") in await invariants(database, full=True)


async def test_an_audit_finds_what_was_edited_after_the_verified_head(
    database: Database, owner: Connection, book: Book, ada: Holder
) -> None:
    await settle(owner, database)
    assert (await audit(database)).clean
    for _ in range(2):
        await deposited(book, ada.id, ada.account_id, 10)
    await owner.execute(EDITED.format(account=ada.account_id, version=5))
    for full in (False, True):
        found = await invariants(database, full=full)
        assert ("hash_chain", f"{ada.account_id} version 5") in found
        assert ("entry_matches_posting", f"{ada.account_id} version 5") in found


@pytest.mark.parametrize("full", [False, True])
async def test_an_end_that_was_cut_off_before_the_verified_head_is_found(
    database: Database, owner: Connection, ada: Holder, full: bool
) -> None:
    await settle(owner, database)
    assert (await audit(database)).clean
    await owner.execute(CUT_OFF.format(account=ada.account_id, version=2))
    assert ("audited_head", ada.account_id) in await invariants(database, full=full)


async def test_an_audit_finds_again_what_is_broken_until_it_is_mended(
    database: Database, owner: Connection, ada: Holder
) -> None:
    await owner.execute(EDITED.format(account=ada.account_id, version=2))
    await settle(owner, database)
    first = await invariants(database)
    assert first
    assert await invariants(database) == first
    assert await owner.fetchval("SELECT count(*) FROM audited_heads WHERE account_id = $1", ada.account_id) == 0


async def test_every_audit_finds_what_a_full_one_found_until_a_full_one_is_clean(
    database: Database, owner: Connection, ada: Holder
) -> None:
    await settle(owner, database)
    assert (await audit(database, FINGERPRINTS)).clean
    await owner.execute(EDITED.format(account=ada.account_id, version=2))
    assert (await audit(database, FINGERPRINTS)).clean
    first = await invariants(database, full=True)
    assert first
    for _ in range(2):
        assert await invariants(database) == first
    await owner.execute(EDITED.format(account=ada.account_id, version=2).replace("- interval", "+ interval"))
    mended = await audit(database, FINGERPRINTS)
    assert (mended.clean, mended.since) == (True, None)
    after = await audit(database, FINGERPRINTS)
    assert (after.clean, after.since is not None) == (True, True)


async def test_an_order_that_an_audit_without_keys_passed_is_checked_by_the_next_one_with_keys(
    database: Database, owner: Connection, ada: Holder
) -> None:
    await owner.execute(ORDER_EDITED)
    await settle(owner, database)
    assert (await audit(database)).clean
    found = await audit(database, FINGERPRINTS)
    assert {one.invariant for one in found.broken} == {"order_as_accepted"}


async def test_an_account_with_more_entries_than_one_part_holds_is_verified_in_parts(
    database: Database, owner: Connection, book: Book, ada: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "ENTRIES_AT_ONCE", 2)
    monkeypatch.setattr(auditor, "TRANSFERS_AT_ONCE", 2)
    monkeypatch.setattr(auditor, "ACCOUNTS_AT_ONCE", 1)
    await deposited(book, ada.id, ada.account_id, 10)
    for full in (True, False, True):
        assert (await audit(database, full=full)).clean
    assert await owner.fetchval("SELECT version FROM audited_heads WHERE account_id = $1", ada.account_id) == 5
    await owner.execute(EDITED.format(account=ada.account_id, version=4))
    assert ("hash_chain", f"{ada.account_id} version 4") in await invariants(database, full=True)


async def test_a_posting_with_a_date_before_the_last_audit_is_found_though_all_sums_are_right(
    database: Database, owner: Connection, customers: Customers, book: Book, ada: Holder
) -> None:
    ben = await holder(customers)
    paid = order(ada.id, ada.account_id, ben.account_id, 5)
    await completed(book, paid)
    await settle(owner, database)
    assert (await audit(database, FINGERPRINTS)).clean
    at = await owner.fetchval("SELECT max(audited_until) - interval '1 minute' FROM audits")
    async with database.transaction() as application:
        for leg, account, amount in (("debit", ada.account_id, -300), ("credit", ben.account_id, 300)):
            await post_again(application, paid.transfer_id, leg, account, amount, at)
        assert await application.fetchval("SELECT advance_heads($1, $2)", [ada.account_id], [6]) == 0
    for full in (False, True):
        found = await invariants(database, full=full)
        assert {subject for invariant, subject in found if invariant == "entry_dated_before_audit"} == {
            f"{ada.account_id} version 6",
            f"{ben.account_id} version 2",
        }


async def post_again(
    application: Any, transfer_id: TransferId, leg: str, account_id: AccountId, amount: int, at: datetime
) -> None:
    """Post what follows from the account's entries, for an attempt that never was, as a hijacked process could."""
    sides = (account_id, "clearing") if leg == "debit" else ("clearing", account_id)
    await application.execute(
        "INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, currency,"
        " recorded_at) VALUES ($1, 2, $2, $3, $4, $5, 'USD', $6)",
        *(transfer_id, leg, *sides, abs(amount), at),
    )
    row = await application.fetchrow("SELECT version, balance_minor, head_hash FROM accounts WHERE id = $1", account_id)
    version, before, after = row["version"] + 1, row["balance_minor"], row["balance_minor"] + amount
    posting_id = PostingId(f"pst_{transfer_id[4:]}_2_{leg}")
    digest = entry_hash(row["head_hash"], account_id, version, posting_id, amount, before, after, at)
    await application.execute(
        "INSERT INTO entries VALUES ($1, $2, $3, 2, $4, $5, $6, $7, $8, $9)",
        *(account_id, version, transfer_id, leg, amount, before, after, at, digest),
    )
    await application.execute(
        "UPDATE accounts SET version = $2, balance_minor = $3, head_hash = $4 WHERE id = $1",
        *(account_id, version, after, digest),
    )


async def test_no_head_is_asked_to_pass_what_is_broken_so_that_each_entry_is_read_once(
    database: Database, owner: Connection, book: Book, ada: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "ENTRIES_AT_ONCE", 2)
    for _ in range(8):
        await deposited(book, ada.id, ada.account_id, 10)
    await owner.execute(EDITED.format(account=ada.account_id, version=3))
    asked: list[tuple[object, ...]] = []

    def note(statement: str, values: tuple[object, ...]) -> None:
        if "advance_heads" in statement:
            asked.append(values)

    watched = Watched(owner, note)
    found = await auditor.Auditor(cast(Any, watched), FINGERPRINTS, full=True).findings()
    assert "hash_chain" in {invariant for invariant, _, _ in found}
    assert asked == [([ada.account_id], [2])]


async def test_a_version_that_was_set_very_high_is_found_and_delays_no_audit(
    database: Database, owner: Connection, ada: Holder
) -> None:
    await owner.execute(GAP.format(account=ada.account_id, version=4))
    found = {one.invariant for one in (await audit(database, limit_seconds=20)).broken}
    assert found >= {"entries_without_gaps", "hash_chain"}


async def test_a_running_total_that_was_edited_is_found_by_a_full_audit(
    database: Database, owner: Connection, ada: Holder
) -> None:
    await settle(owner, database)
    await owner.execute(
        "UPDATE settled_totals SET world_minor = world_minor - 5, customers_minor = customers_minor + 5"
    )
    assert ("running_totals", "USD") in await invariants(database, full=True)


# Who may write what an audit relies on.


async def test_the_application_cannot_write_a_head_and_moves_it_only_over_entries_that_follow(
    database: Database, owner: Connection, ada: Holder
) -> None:
    advance = "SELECT advance_heads($1, $2)"
    read = "SELECT version FROM audited_heads WHERE account_id = $1"
    async with database.connection() as application:
        for statement in (
            "INSERT INTO audited_heads VALUES ('acc', 1, 0, sha256(''))",
            "UPDATE audited_heads SET version = 9",
            "DELETE FROM audited_heads",
            "UPDATE settled_totals SET world_minor = 0",
            "UPDATE totals_position SET counted_until = now()",
            "DELETE FROM audits",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await application.execute(statement)
        assert await application.fetchval(advance, [ada.account_id], [99]) == 0
        assert await application.fetchval(advance, [ada.account_id], [2]) == 1
        assert await application.fetchval(advance, [ada.account_id], [1]) == 0
        assert await application.fetchval(read, ada.account_id) == 2
        await owner.execute(EDITED.format(account=ada.account_id, version=3))
        assert await application.fetchval(advance, [ada.account_id], [4]) == 0
        assert await application.fetchval(read, ada.account_id) == 2


# One at a time, within its limit, and beside the load.


async def test_an_audit_in_another_process_keeps_a_second_one_from_running(
    database: Database, owner: Connection
) -> None:
    await owner.execute(f"SELECT pg_advisory_lock({LOCK})")
    with pytest.raises(AuditInProgress):
        await audit(database)
    await owner.execute(f"SELECT pg_advisory_unlock({LOCK})")
    assert (await audit(database)).clean


async def test_an_audit_that_is_given_up_leaves_no_lock_and_the_next_one_runs(
    database: Database, owner: Connection, ada: Holder
) -> None:
    async with owner.transaction():
        await owner.execute("LOCK TABLE disputes IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="took longer than 1 s"):
            await audit(database, limit_seconds=1)
    assert (await audit(database)).clean
    assert await owner.fetchval("SELECT count(*) FROM audited_heads") == 1


class Watched:
    """A connection that notes the time limit of each statement, and tells what is asked."""

    def __init__(
        self, connection: Connection, tell: Callable[[str, tuple[object, ...]], object] = lambda *_: None
    ) -> None:
        self._connection = connection
        self._tell = tell
        self.limits: dict[str, float | None] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        def noted(statement: str, *values: object, **options: Any) -> Any:
            self.limits[statement] = options.get("timeout")
            self._tell(statement, values)
            return method(statement, *values, **options)

        return noted


async def test_no_statement_of_an_audit_has_the_short_limit_of_its_pool(
    database: Database, owner: Connection, book: Book, ada: Holder
) -> None:
    await book.open_transfer(order(ada.id, ada.account_id, ada.account_id, 1))
    await settle(owner, database)
    watched = Watched(owner)
    assert await auditor.Auditor(cast(Any, watched), FINGERPRINTS, full=True).findings() == []
    assert len(watched.limits) > 10
    assert {statement for statement, limit in watched.limits.items() if limit != auditor.STATEMENT_SECONDS} == set()


async def test_an_audit_beside_steps_that_move_money_finds_the_books_clean(
    database: Database, customers: Customers, book: Book, ada: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "ENTRIES_AT_ONCE", 3)
    monkeypatch.setattr(auditor, "TRANSFERS_AT_ONCE", 3)
    ben = await holder(customers)
    stop = asyncio.Event()

    async def pay() -> None:
        while not stop.is_set():
            await completed(book, order(ada.id, ada.account_id, ben.account_id, 1))

    async def leave_in_transit() -> None:
        wanted = order(ada.id, ada.account_id, ben.account_id, 1)
        await book.open_transfer(wanted)
        await book.debit(Step(wanted.transfer_id, 1))

    load = [asyncio.create_task(pay()) for _ in range(3)]
    found = []
    for full in (True, False, True):
        await leave_in_transit()
        found += (await audit(database, full=full)).broken
    stop.set()
    await asyncio.gather(*load)
    assert found == []
