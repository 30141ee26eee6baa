"""The books that the audit's tests tamper with."""

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import Dispute, DisputeDecision, DisputeRuling, DisputeTerms
from disputes.postgres.disputes import Disputes
from ledger.ids import WORLD, AccountId, TransferId
from ledger.postgres.book import Book
from ledger.transfers import Ending, Failure, State, Step
from staff.permissions import Role
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.orders import ENCRYPTION, FINGERPRINTS, Holder, completed, funded, holder, order, promoted

REASON = Failure("fraud_declined", "Declined.")


async def scene(database: Database, owner: Connection) -> dict[str, str]:
    """Fill the books; what their rows are called.

    Alice was given 10,000, paid bob 2,500, got back 500 that were on their way to him, and 1,000 are in transit. Bob
    took 300 out, and was refused more. Dora's account was never used, and erin's is empty again. Fay lent gus 600; 200
    of them are given back, and the reversal of another 300 is opened.
    """
    book, customers = Book(database, FINGERPRINTS, record_reversal), Customers(database, encryption=ENCRYPTION)
    alice, erin = await funded(customers, book, 10_000), await funded(customers, book, 40)
    bob, dora = await holder(customers), await holder(customers)
    fay, gus = await funded(customers, book, 600), await holder(customers)
    found: dict[str, str] = {
        "alice": alice.account_id,
        "bob": bob.account_id,
        "dora": dora.account_id,
        "erin": erin.account_id,
        "fay": fay.account_id,
        "gus": gus.account_id,
    }

    async def moved(
        name: str, source: Holder, destination: AccountId, amount_minor: int, *steps: str, reverses: str = ""
    ) -> None:
        reversed_id = TransferId(found[reverses]) if reverses else None
        wanted = order(source.id, source.account_id, destination, amount_minor, reverses=reversed_id)
        step = Step(wanted.transfer_id, 1)
        await book.open_transfer(wanted)
        for taken in steps:
            match taken:
                case "debit":
                    await book.debit(step)
                case "credit":
                    await book.credit(step)
                case "refund":
                    await book.refund(Ending(step, REASON))
                case "fail":
                    await book.end(Ending(step, REASON), State.FAILED)
        found[name] = wanted.transfer_id

    await moved("done", alice, bob.account_id, 2_500, "debit", "credit")
    await moved("back", alice, bob.account_id, 500, "debit", "refund")
    await moved("moving", alice, bob.account_id, 1_000, "debit")
    await moved("paid", bob, WORLD, 300, "debit", "credit")
    await moved("refused", bob, alice.account_id, 9_999, "fail")
    await moved("emptied", erin, WORLD, 40, "debit", "credit")
    await moved("lent", fay, gus.account_id, 600, "debit", "credit")
    await moved("given", gus, fay.account_id, 200, "debit", "credit", reverses="lent")
    await moved("giving", gus, fay.account_id, 300, reverses="lent")
    found |= await disputed(database, book, customers, fay, TransferId(found["lent"]))
    found["deposit"] = await owner.fetchval(
        "SELECT id FROM transfers WHERE destination_account_id = $1 AND kind = 'deposit'", alice.account_id
    )
    found["saved"] = await owner.fetchval(
        "SELECT id FROM transfers WHERE destination_account_id = $1 AND kind = 'deposit'", erin.account_id
    )
    found["never"] = "trf_" + "a" * 26
    return found


async def disputed(
    database: Database, book: Book, customers: Customers, payer: Holder, transfer_id: TransferId
) -> dict[str, str]:
    """Three disputes about one transfer, one after the other: denied, heard and done, open."""
    disputes, terms = Disputes(database), DisputeTerms(window_days=1, deadline_seconds=60)
    staff = (await holder(customers)).id
    await promoted(database, staff, Role.OPERATOR)

    async def opened() -> Dispute:
        dispute = await disputes.open(payer.id, transfer_id, "Nothing came", terms)
        assert dispute is not None
        for party in dispute.parties:
            await disputes.add_statement(dispute.id, party, "It is as I say")
        return dispute

    denied = await opened()
    await disputes.decide(denied.id, DisputeDecision(staff, DisputeRuling.REJECT, "It did come"))
    heard = await opened()
    await disputes.decide(heard.id, DisputeDecision(staff, DisputeRuling.REVERSE, "Most did not", 60))
    award = (await disputes.course(heard.id)).reversal
    assert award is not None
    await completed(book, FINGERPRINTS.signed(award))
    await disputes.close(heard.id, impossible=False)
    objection = await opened()
    return {"denied": denied.id, "heard": heard.id, "objection": objection.id, "awarded": award.transfer_id}
