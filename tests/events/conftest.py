"""Books in which everything has happened that writes events, but for webhooks."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from customers.postgres import Customers
from database.connections import Database
from events.dead_letter import Undelivered
from events.event import Event
from events.postgres.dead_letters import bury
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from ledger.postgres.book import Book, put_in_review
from ledger.transfers import Ending, Failure, State, Step, TransferOrder
from statements.postgres.account_statements import AccountStatements
from statements.statement import Bank, StatementTerms
from statements.statement_period import TimeZones
from tests.connections import Connection
from tests.orders import Holder, completed, funded, holder, later_attempt, order, reversal, staff


@dataclass(frozen=True)
class Story:
    """Alice pays Bob, staff bring it back; other transfers of hers end otherwise, and much happens to her account."""

    alice: Holder
    bob: Holder
    admin: str
    paid: TransferOrder
    back: TransferOrder
    events: list[Event]


@pytest.fixture
async def story(database: Database, customers: Customers, book: Book, owner: Connection) -> Story:
    alice, bob, admin = await funded(customers, book, 100), await holder(customers), await staff(database)
    paid = await completed(book, order(alice.id, alice.account_id, bob.account_id, 30, note="for the rent"))
    failing, cancelled, sent_back = (
        order(alice.id, alice.account_id, bob.account_id, amount, note="a secret") for amount in (500, 5, 6)
    )
    for each in (failing, cancelled, sent_back):
        await book.open_transfer(each)
    failure = Failure("insufficient_funds", "It is 430 short.", "source")
    await book.end(Ending(Step(failing.transfer_id, 1), failure), State.FAILED)
    await book.open_transfer(later_attempt(failing, 2))
    async with database.transaction() as connection:
        await put_in_review(connection, Step(cancelled.transfer_id, 1))
    await book.end(Ending(Step(cancelled.transfer_id, 1)), State.CANCELLED)
    await book.debit(Step(sent_back.transfer_id, 1))
    await book.refund(Ending(Step(sent_back.transfer_id, 1), Failure("account_frozen", "Frozen.", "destination")))
    await _dispute(owner, paid, alice, bob)
    back = await completed(book, reversal(paid, admin, 30, "sent twice"))
    statements = AccountStatements(database, StatementTerms(Bank("Remit", ()), TimeZones()))
    await statements.make(alice.account_id, datetime(2026, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC))
    for change in ("tier = 2", "status = 'frozen'", "status = 'active'", "status = 'closed'"):
        await owner.execute(f"UPDATE accounts SET {change} WHERE id = $1", alice.account_id)
    for change in ("verification = 'pending'", "verification = 'verified'", "role = 'operator'"):
        await owner.execute(f"UPDATE customers SET {change} WHERE id = $1", alice.id)
    await owner.execute("INSERT INTO cases (id, account_id) VALUES ($1, $2)", "cas_" + "a" * 26, alice.account_id)
    await owner.execute("INSERT INTO notifications (customer_id, occasion, body) VALUES ($1, 'tier', 'x')", alice.id)
    await _batches(owner, alice)
    async with database.transaction() as connection:
        await bury(
            connection,
            Undelivered(source="kafka", reason="too large", body={}, event_id="evt_1", type="transfer.completed"),
        )
    assert await number_all(database)
    return Story(alice, bob, admin, paid, back, await EventStream(database).after(0, 1_000))


async def _dispute(owner: Connection, paid: TransferOrder, payer: Holder, payee: Holder) -> None:
    dispute = "dsp_" + "a" * 26
    await owner.execute(
        "INSERT INTO disputes (id, transfer_id, payer_id, payee_id, reason, deadline) "
        "VALUES ($1, $2, $3, $4, 'never came', now() + interval '1 day')",
        *(dispute, paid.transfer_id, payer.id, payee.id),
    )
    await owner.execute(
        "INSERT INTO dispute_statements (dispute_id, author_id, text) VALUES ($1, $2, 'sent it')", dispute, payee.id
    )
    await owner.execute("UPDATE disputes SET state = 'expired', closed_at = now() WHERE id = $1", dispute)


async def _batches(owner: Connection, sender: Holder) -> None:
    """One that is refused after somebody looked at it, one that is completed, and one that is cancelled."""
    for name, changes in (
        ("a", ("state = 'held'", "state = 'refused', failed = 1, ended_at = now()")),
        ("b", ("state = 'completed', posted = 1, completed = 1, ended_at = now()",)),
        ("c", ("state = 'cancelled', ended_at = now()",)),
    ):
        batch_id = f"bat_{name * 26}"
        await owner.execute(
            "INSERT INTO batches (id, owner_id, mode, total) VALUES ($1, $2, 'atomic', 1)", batch_id, sender.id
        )
        for change in changes:
            await owner.execute(f"UPDATE batches SET {change} WHERE id = $1", batch_id)
