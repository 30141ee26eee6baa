"""What was objected to, said and ruled stays so, whoever writes to the tables."""

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import DisputeDecision, DisputeRuling, DisputeTerms, NotDisputable
from disputes.postgres.disputes import Disputes
from ledger.postgres.book import Book
from staff.permissions import NotAllowed
from tests.connections import Connection
from tests.orders import completed, funded, holder, order, reversal


async def test_a_dispute_keeps_what_it_was_and_a_closed_one_its_end(
    owner: Connection, database: Database, book: Book, customers: Customers
) -> None:
    disputes, terms = Disputes(database), DisputeTerms(window_days=120, deadline_seconds=60)
    payer, payee, staff = await funded(customers, book, 1_000), await holder(customers), await holder(customers)
    paid = await completed(book, order(payer.id, payer.account_id, payee.account_id, 600))
    dispute = await disputes.open(payer.id, paid.transfer_id, "The goods never came", terms)
    assert dispute is not None
    await disputes.add_statement(dispute.id, payee.id, "They were sent")
    reject = DisputeDecision(staff.id, DisputeRuling.REJECT, "Delivery is proven")
    with pytest.raises(NotAllowed):
        await disputes.decide(dispute.id, reject)
    await owner.execute("UPDATE customers SET role = 'operator' WHERE id = $1", staff.id)
    await disputes.decide(dispute.id, reject)
    for change, refusal in (
        ("UPDATE dispute_statements SET text = 'They were not'", asyncpg.InsufficientPrivilegeError),
        ("DELETE FROM dispute_statements", asyncpg.InsufficientPrivilegeError),
        ("UPDATE disputes SET reason = 'another'", asyncpg.CheckViolationError),
        ("UPDATE disputes SET state = 'open', closed_at = NULL", asyncpg.CheckViolationError),
    ):
        with pytest.raises(refusal):
            await owner.execute(change)
    again = await disputes.open(payer.id, paid.transfer_id, "Still nothing", terms)
    assert again is not None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute("UPDATE disputes SET reason = 'another' WHERE id = $1", again.id)


async def test_a_transfer_with_a_reversal_in_progress_is_not_disputed(
    database: Database, book: Book, customers: Customers
) -> None:
    payer, payee = await funded(customers, book, 1_000), await holder(customers)
    paid = await completed(book, order(payer.id, payer.account_id, payee.account_id, 600))
    await book.open_transfer(reversal(paid, payee.id, 600))
    with pytest.raises(NotDisputable):
        await Disputes(database).open(payer.id, paid.transfer_id, "Nothing came", DisputeTerms(120, 60))
