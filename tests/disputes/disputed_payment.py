"""A payment that its payer disputes, and staff who may hold it, for tests of holds."""

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import (
    Dispute,
    DisputeDecision,
    DisputeRuling,
    DisputeTerms,
)
from disputes.postgres.disputes import Disputes
from disputes.postgres.holds import DisputeHolds
from ledger.accounts import Account
from ledger.ids import WORLD, CustomerId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.refusals import InsufficientFunds
from ledger.transfers import Ending, State, Step, TransferOrder
from staff.permissions import Actor, Role
from staff.postgres.reversal_record import record_reversal
from staff.rebuilds.postgres import Rebuilds
from tests.orders import (
    FINGERPRINTS,
    Holder,
    completed,
    funded,
    holder,
    order,
    staff,
)

TERMS = DisputeTerms(window_days=120, deadline_seconds=60)
PAID = 600


class Scene:
    """Somebody has paid 600, disputes it, and the payee still has it."""

    def __init__(self, database: Database, payer: Holder, payee: Holder, paid: TransferOrder, olu: CustomerId) -> None:
        self.database = database
        self.book = Book(database, FINGERPRINTS, record_reversal)
        self.disputes, self.holds = Disputes(database), DisputeHolds(database)
        self.payer, self.payee, self.paid = payer, payee, paid
        self.olu = Actor(olu, Role.ADMIN)

    @classmethod
    async def played(cls, database: Database, book: Book, customers: Customers) -> "Scene":
        payer, payee = await funded(customers, book, 1_000), await holder(customers)
        paid = await completed(book, order(payer.id, payer.account_id, payee.account_id, PAID))
        return cls(database, payer, payee, paid, await staff(database))

    async def opened(self) -> Dispute:
        dispute = await self.disputes.open(self.payer.id, self.paid.transfer_id, "The goods never came", TERMS)
        assert dispute is not None
        return dispute

    async def held(self, dispute: Dispute) -> int:
        return (await self.holds.hold(dispute.id, self.olu, "ticket 4711")).held_minor

    async def rebuilt(self) -> str | None:
        """The code with which a rebuild left the payee's account; None: it did not."""
        rebuilds = Rebuilds(self.database)
        requested = await rebuilds.request(self.olu, self.payee.account_id, "ticket 4711")
        await rebuilds.proceed(requested.id, 60)
        return (await rebuilds.findings(requested.id, 1)).items[0].code

    async def ruled(self, dispute: Dispute, ruling: DisputeRuling, amount: int | None = None) -> None:
        await self.disputes.decide(dispute.id, DisputeDecision(self.olu.id, ruling, "no proof", amount))

    async def awarded(self, dispute: Dispute) -> TransferOrder:
        """The reversal that was decided."""
        award = (await self.disputes.course(dispute.id)).reversal
        assert award is not None
        return FINGERPRINTS.signed(award)

    async def failed(self, dispute: Dispute, amount: int | None = None) -> TransferOrder:
        """Decide that this amount goes back, or all, and let its reversal fail; the reversal."""
        await self.ruled(dispute, DisputeRuling.REVERSE, amount)
        award = await self.awarded(dispute)
        await self.book.open_transfer(award)
        await self.book.end(Ending(Step(award.transfer_id, 1), None), State.FAILED)
        await self.disputes.close(dispute.id, impossible=False)
        return award

    async def spends(self, amount: int, book: Book | None = None) -> bool:
        wanted = order(self.payee.id, self.payee.account_id, WORLD, amount)
        try:
            await completed(book or self.book, wanted)
        except InsufficientFunds as refusal:
            await self.book.end(Ending(Step(wanted.transfer_id, 1), refusal.failure), State.FAILED)
            return False
        return True

    async def account(self) -> Account:
        found = await AccountReads(self.database).find(self.payee.account_id)
        assert found is not None
        return found

    async def amounts(self) -> tuple[int, int]:
        """The payee's balance, and what of it is held."""
        account = await self.account()
        return account.balance_minor, account.held_minor
