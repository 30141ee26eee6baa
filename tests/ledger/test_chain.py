"""The hash chain of an account's entries, in Python and in PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.postgres import Customers
from ledger.chain import entry_hash, genesis_hash
from ledger.ids import WORLD, new_account_id, new_customer_id, posting_id, transfer_id_for
from ledger.money import MAX_AMOUNT_MINOR
from ledger.postgres.book import Book
from ledger.postgres.proof.sections import ACCOUNTS
from ledger.transfers import MAX_ATTEMPTS, Ending, Leg, Step
from tests.connections import Connection
from tests.orders import Holder, funded, holder, order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OWNER = new_customer_id()
MINE, THEIRS = new_account_id(), new_account_id()
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)
BALANCES = st.integers(0, MAX_AMOUNT_MINOR)
ENTRIES = st.lists(
    st.tuples(
        st.tuples(BALANCES, BALANCES).filter(lambda pair: pair[0] != pair[1]),
        st.integers(1, MAX_ATTEMPTS),
        st.sampled_from(Leg),
        st.datetimes(datetime(1969, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - see timezones
        KEYS,
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
async def alice(customers: Customers) -> Holder:
    return await holder(customers)


@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example rolls back what it wrote
)
@given(ENTRIES)
async def test_the_audit_hashes_every_entry_as_the_rules_do(
    owner: Connection, alice: Holder, entries: list[tuple[tuple[int, int], int, Leg, datetime, str]]
) -> None:
    account_id, previous = alice.account_id, genesis_hash(alice.account_id)
    trial = owner.transaction()
    await trial.start()
    await owner.execute("SET LOCAL session_replication_role = replica")
    for version, ((before, after), attempt, leg, recorded_at, key) in enumerate(entries, start=1):
        transfer_id, amount_minor = transfer_id_for(alice.id, key), after - before
        posting = posting_id(transfer_id, attempt, leg)
        previous = entry_hash(previous, account_id, version, posting, amount_minor, before, after, recorded_at)
        await owner.execute(
            "INSERT INTO entries VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            *(account_id, version, transfer_id, attempt, leg, amount_minor, before, after, recorded_at, previous),
        )
    found = await owner.fetch(ACCOUNTS, [account_id], [0], 1_000)
    broken = [row["subject"] for row in found if row["invariant"] == "hash_chain"]
    await trial.rollback()
    assert broken == []


def test_each_field_of_an_entry_changes_its_hash() -> None:
    transfer_id = transfer_id_for(OWNER, "a")
    one = (b"0" * 32, MINE, 1, posting_id(transfer_id, 1, "debit"), -5, 10, 5, NOW)
    other = (b"1" * 32, THEIRS, 2, posting_id(transfer_id, 2, "debit"), -6, 11, 6, NOW + timedelta(microseconds=1))
    hashes = {entry_hash(*one)}
    for i in range(len(one)):
        changed: Any = (*one[:i], other[i], *one[i + 1 :])
        hashes.add(entry_hash(*changed))
    assert len(hashes) == len(one) + 1


async def test_the_book_chains_its_entries(book: Book, customers: Customers, owner: Connection) -> None:
    rich = await funded(customers, book, 500)
    for amount_minor in (200, 30, 4):
        withdrawal = order(rich.id, rich.account_id, WORLD, amount_minor)
        await book.open_transfer(withdrawal)
        await book.debit(Step(withdrawal.transfer_id, 1))
        await book.refund(Ending(Step(withdrawal.transfer_id, 1)))
    previous = genesis_hash(rich.account_id)
    entries = await owner.fetch("SELECT * FROM entries ORDER BY version")
    assert [entry["balance_after"] for entry in entries] == [500, 300, 500, 470, 500, 496, 500]
    for entry in entries:
        posting = posting_id(entry["transfer_id"], entry["attempt"], entry["leg"])
        written = (entry["amount_minor"], entry["balance_before"], entry["balance_after"], entry["recorded_at"])
        previous = entry_hash(previous, rich.account_id, entry["version"], posting, *written)
        assert entry["hash"] == previous
    assert await owner.fetchval("SELECT head_hash FROM accounts WHERE id = $1", rich.account_id) == previous
