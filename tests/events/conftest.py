"""Books in which everything has happened that writes events, but for webhooks."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from batches.batch import BatchMode, BatchState, NewBatchItem
from batches.postgres.batches import Batches
from batches.postgres.chunks import BatchPosting
from customers.postgres import Customers
from database.connections import Database
from events.dead_letter import Undelivered
from events.event import Event
from events.postgres.dead_letters import bury
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from ledger.ids import BatchId
from ledger.postgres.book import Book, put_in_review
from ledger.transfers import Ending, Failure, State, Step, TransferOrder
from statements.postgres.account_statements import AccountStatements
from statements.statement import Bank, StatementTerms
from statements.statement_period import TimeZones
from tests.connections import Connection
from tests.orders import FINGERPRINTS, Holder, completed, funded, holder, later_attempt, order, reversal, staff
from tests.standing_orders.scene import Scene


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
    await _batches(Scene(database, customers, book), owner, alice, bob)
    statements = AccountStatements(database, StatementTerms(Bank("Remit", ()), TimeZones()))
    await statements.make(alice.account_id, datetime(2026, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC))
    for change in ("tier = 2", "status = 'frozen'", "status = 'active'", "status = 'closed'"):
        await owner.execute(f"UPDATE accounts SET {change} WHERE id = $1", alice.account_id)
    for change in ("verification = 'pending'", "verification = 'verified'", "role = 'operator'"):
        await owner.execute(f"UPDATE customers SET {change} WHERE id = $1", alice.id)
    await owner.execute("INSERT INTO cases (id, account_id) VALUES ($1, $2)", "cas_" + "a" * 26, alice.account_id)
    await owner.execute("INSERT INTO notifications (customer_id, occasion, body) VALUES ($1, 'tier', 'x')", alice.id)
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


async def _batches(scene: Scene, owner: Connection, payer: Holder, payee: Holder) -> None:
    """One that is completed, one that is refused after somebody looked at it, and one that is cancelled."""
    batches = Batches(scene.database, FINGERPRINTS)

    async def accepted(reference: str, mode: BatchMode) -> BatchId:
        items = [NewBatchItem(reference, payer.account_id, payee.account_id, 1, "USD")]
        return (await batches.accept(payer.id, mode, items)).batch.id

    paid = await accepted("paid", BatchMode.BEST_EFFORT)
    assert (await BatchPosting(scene.database, scene.bulk).post_next(paid))[0].state is BatchState.COMPLETED
    refused = await accepted("refused", BatchMode.ATOMIC)
    await owner.execute(
        "UPDATE batch_items SET outcome = 'refused', failure_code = 'rejected', failure_message = 'No.' "
        "WHERE batch_id = $1",
        refused,
    )
    for change in ("state = 'held'", "state = 'refused', failed = 1, ended_at = now()"):
        await owner.execute(f"UPDATE batches SET {change} WHERE id = $1", refused)
    await batches.cancel(await accepted("cancelled", BatchMode.ATOMIC))
