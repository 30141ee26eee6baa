"""Who is told what of a dispute: once of each occasion, and only of what was committed."""

from collections.abc import Awaitable, Callable

import pytest

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import Dispute, DisputeClosed, DisputeDecision, DisputeOpen, DisputeRuling, DisputeTerms
from disputes.postgres.disputes import Disputes
from ledger.ids import CustomerId
from ledger.postgres.book import Book
from ledger.transfers import Step, TransferOrder
from notifications.postgres import Notifications
from tests.connections import Connection
from tests.orders import FINGERPRINTS, Holder, completed, funded, holder, order, reversal

TERMS = DisputeTerms(window_days=120, deadline_seconds=60)
Notices = Callable[[Holder], Awaitable[list[str]]]


@pytest.fixture
def disputes(database: Database) -> Disputes:
    return Disputes(database)


@pytest.fixture
async def payer(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def payee(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def staff(owner: Connection, customers: Customers) -> CustomerId:
    made = await holder(customers)
    await owner.execute("UPDATE customers SET role = 'operator' WHERE id = $1", made.id)
    return made.id


@pytest.fixture
async def paid(book: Book, payer: Holder, payee: Holder) -> TransferOrder:
    return await completed(book, order(payer.id, payer.account_id, payee.account_id, 2_500))


@pytest.fixture
async def dispute(disputes: Disputes, payer: Holder, paid: TransferOrder) -> Dispute:
    opened = await disputes.open(payer.id, paid.transfer_id, "The goods never came", TERMS)
    assert opened is not None
    return opened


@pytest.fixture
def notices(owner: Connection) -> Notices:
    """What a customer was told, in this order."""

    async def bodies(to: Holder) -> list[str]:
        rows = await owner.fetch(
            "SELECT body, account_id FROM notifications WHERE customer_id = $1 AND transfer_id IS NOT NULL "
            "ORDER BY created_at",
            to.id,
        )
        assert {row["account_id"] for row in rows} <= {to.account_id}
        return [row["body"] for row in rows]

    return bodies


async def test_the_payee_is_told_of_a_dispute_and_until_when_to_answer(
    dispute: Dispute, payer: Holder, payee: Holder, notices: Notices
) -> None:
    (body,) = await notices(payee)
    assert body == (
        f"Transfer {dispute.transfer_id}, by which you received $25.00, is disputed by its payer. Read why, and state "
        f"your case, in dispute {dispute.id} until {dispute.deadline:%Y-%m-%d %H:%M} UTC."
    )
    assert await notices(payer) == []


async def test_a_dispute_that_is_not_opened_tells_nobody(
    disputes: Disputes, dispute: Dispute, payer: Holder, payee: Holder, notices: Notices
) -> None:
    before = await notices(payee)
    with pytest.raises(DisputeOpen):
        await disputes.open(payer.id, dispute.transfer_id, "Once more", TERMS)
    assert await notices(payee) == before


async def test_each_statement_is_told_to_the_other_party(
    disputes: Disputes, dispute: Dispute, payer: Holder, payee: Holder, notices: Notices
) -> None:
    for author in (payee, payer, payer):
        await disputes.add_statement(dispute.id, author.id, "What I have to say")
    about = f"in dispute {dispute.id} about transfer {dispute.transfer_id} of $25.00."
    assert await notices(payer) == [f"The payee made a statement {about}"]
    assert (await notices(payee))[1:] == [f"The payer made a statement {about}"] * 2


async def test_a_rejection_is_told_once_to_both_however_often_it_is_made(
    disputes: Disputes, dispute: Dispute, payer: Holder, payee: Holder, staff: CustomerId, notices: Notices
) -> None:
    decision = DisputeDecision(staff, DisputeRuling.REJECT, "Delivery is proven")
    for _ in range(3):
        await disputes.decide(dispute.id, decision)
        await disputes.expire(dispute.id)
    ended = (
        f"Dispute {dispute.id} about transfer {dispute.transfer_id} of $25.00 has ended. "
        "The dispute was rejected; the transfer stays as it is. Reason: Delivery is proven"
    )
    assert await notices(payer) == [ended]
    assert (await notices(payee))[1:] == [ended]
    with pytest.raises(DisputeClosed):
        await disputes.add_statement(dispute.id, payer.id, "But")
    assert len(await notices(payee)) == 2


async def test_an_expired_dispute_is_told_once_to_both(
    disputes: Disputes, dispute: Dispute, payer: Holder, payee: Holder, notices: Notices
) -> None:
    for _ in range(3):
        await disputes.expire(dispute.id)
    (ended,) = await notices(payer)
    assert ended.endswith(" has ended. Nobody decided in time; the transfer stays as it is.")
    assert (await notices(payee))[1:] == [ended]


async def test_a_decision_to_reverse_is_told_when_the_money_is_back_and_not_before(
    disputes: Disputes, book: Book, dispute: Dispute, payer: Holder, staff: CustomerId, notices: Notices
) -> None:
    await disputes.decide(dispute.id, DisputeDecision(staff, DisputeRuling.REVERSE, "No proof of delivery", 1_000))
    course = await disputes.close(dispute.id, impossible=False)
    assert await notices(payer) == []
    assert course.reversal is not None
    await completed(book, FINGERPRINTS.signed(course.reversal))
    for _ in range(3):
        await disputes.close(dispute.id, impossible=False)
    (ended,) = await notices(payer)
    assert ended.endswith(" has ended. $10.00 was brought back to the payer. Reason: No proof of delivery")


async def test_a_second_dispute_about_the_same_transfer_is_told_as_well(
    disputes: Disputes, dispute: Dispute, payer: Holder, payee: Holder, notices: Notices
) -> None:
    await disputes.expire(dispute.id)
    again = await disputes.open(payer.id, dispute.transfer_id, "Still nothing", TERMS)
    assert again is not None
    assert len(await notices(payee)) == 3


async def test_how_the_transfer_ended_is_told_once_beside_its_disputes(
    book: Book, dispute: Dispute, payer: Holder, payee: Holder, notices: Notices
) -> None:
    for _ in range(2):
        bodies = {payer.account_id: "It is done.", payee.account_id: "It is done."}
        await Notifications(book.database).write(Step(dispute.transfer_id, 1), bodies)
    assert await notices(payer) == ["It is done."]
    assert (await notices(payee))[1:] == ["It is done."]


async def test_no_notice_names_what_is_left_of_the_transfer_or_the_other_account(
    disputes: Disputes,
    book: Book,
    dispute: Dispute,
    payer: Holder,
    payee: Holder,
    paid: TransferOrder,
    notices: Notices,
) -> None:
    await completed(book, reversal(paid, payee.id, 500))
    await disputes.add_statement(dispute.id, payee.id, "A secret")
    await disputes.expire(dispute.id)
    for party, other in ((payer, payee), (payee, payer)):
        for body in await notices(party):
            assert not any(word in body for word in (other.account_id, other.id, "A secret", "$20.00"))
