"""The real books and plain numbers in memory take the same random steps, and never differ."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given

from customers.documents.document import PENDING
from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import AccountStatus
from ledger.ids import WORLD, AccountId, CustomerId, TransferId, new_account_id
from ledger.limits.tier_limits import LimitTable
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.refusals import IllegalTransition, LedgerConflict, NotReversible, OrderMismatch, Refusal, UnknownTransfer
from ledger.transfers import Ending, Failure, Standing, State, TransferOrder
from ledger.transfers import Step as StepKey
from staff.postgres.reversal_record import record_reversal
from tests.account_status import set_account_status
from tests.databases import Eraser
from tests.orders import DOCUMENT, ENCRYPTION, FINGERPRINTS, order
from tests.properties import plain_books as plain
from tests.properties.plain_books import Answer, AtOnce, Move, Open, Picture, PlainBooks, Step, Sums, TransferRequest
from tests.properties.stories import ACCOUNTS, CURRENCIES, OWNERS, PROLOGUE, Story, stories

LONG_RUN_SECONDS = 3_600
UNDECIDED = replace(DOCUMENT, finding=PENDING)
LIMITS = LimitTable({currency: {"1": limits} for currency, limits in plain.LIMITS.items()})

_ACCOUNTS = "SELECT id, balance_minor, version, status, spent_day_minor FROM accounts"
_WITHOUT_LIMITS = "UPDATE accounts SET tier = 3 WHERE owner_id = ANY ($1)"
_TRANSFERS = "SELECT id, state, failure_code, attempt FROM transfers"


@dataclass
class Teller:
    """Takes the steps of a story to the real book, and tells in the story's names what it answered."""

    database: Database
    book: Book
    owners: dict[str, CustomerId]
    accounts: dict[str, AccountId]
    names: dict[str, str]

    @classmethod
    async def at(cls, database: Database) -> "Teller":
        teller = cls(
            database,
            Book(database, FINGERPRINTS, record_reversal, limits=LIMITS),
            {},
            {plain.WORLD: WORLD, plain.NOBODY: new_account_id()},
            {},
        )
        customers = Customers(database, encryption=ENCRYPTION)
        first, *others = CURRENCIES
        for owner in (*OWNERS, plain.UNVERIFIED):
            document = UNDECIDED if owner == plain.UNVERIFIED else DOCUMENT
            customer, account = await customers.register(f"{owner}@example.com", "-", owner, document, first)
            teller.owners[owner] = customer.id
            teller.accounts[f"{owner}.{first}"] = account.id
            for currency in others if owner in OWNERS else ():
                opened = await customers.open_account(customer.id, currency)
                teller.accounts[f"{owner}.{currency}"] = opened.id
        async with database.connection() as connection:
            await connection.execute(_WITHOUT_LIMITS, [teller.owners["ben"], teller.owners[plain.UNVERIFIED]])
        teller.names = {account_id: name for name, account_id in teller.accounts.items()}
        return teller

    async def take(self, step: Step) -> Answer:
        try:
            if isinstance(step, Open):
                opened = await self.book.open_transfer(self._order(step.wish))
                return Answer(self._said(opened.standing), opened.objection.code if opened.objection else None)
            if isinstance(step, Move):
                return Answer(self._said(await self._move(step)))
            account = await set_account_status(
                self.book.database, self.accounts[step.account], AccountStatus(step.status)
            )
        except Refusal as refusal:
            return Answer(f"refused: {refusal.code}")
        except LedgerConflict as conflict:
            return Answer(f"conflict: {_conflict(conflict)}")
        return Answer(account.status)

    async def picture(self) -> Picture:
        async with self.database.connection() as connection:
            accounts = await connection.fetch(_ACCOUNTS)
            transfers = await connection.fetch(_TRANSFERS)
        return Picture(
            {self.names[row["id"]]: tuple(row)[1:] for row in accounts},
            {self.names[row["id"]]: f"{_standing(*row[1:3])}, attempt {row['attempt']}" for row in transfers},
        )

    async def _move(self, step: Move) -> Standing:
        key = StepKey(self._transfer_id(step.name), step.attempt)
        ending = Ending(key, Failure(step.reason, "A sentence for people.") if step.reason else None)
        match step.verb:
            case "debit":
                return await self.book.debit(key)
            case "credit":
                return await self.book.credit(key)
            case "refund":
                return await self.book.refund(ending)
            case verb:
                return await self.book.end(ending, {"fail": State.FAILED, "cancel": State.CANCELLED}[verb])

    def _order(self, wish: TransferRequest) -> TransferOrder:
        wanted = order(
            self.owners[wish.owner],
            self.accounts[wish.source],
            self.accounts[wish.destination],
            wish.amount,
            key=wish.name,
            currency=wish.currency,
            transaction_id=wish.transaction_id,
            reverses=self._transfer_id(wish.reverses) if wish.reverses else None,
            note="The goods never came" if wish.reverses else None,
        )
        self.names[wanted.transfer_id] = wish.name
        return wanted

    def _transfer_id(self, name: str) -> TransferId:
        return self._order(TransferRequest(name, plain.WORLD, plain.WORLD, 1, "JPY")).transfer_id

    def _said(self, standing: Standing) -> str:
        said = _standing(standing.state, standing.failure.code if standing.failure else None)
        return f"the same as {self.names[standing.duplicate_of]}: {said}" if standing.duplicate_of else said


def _standing(state: str, reason: str | None) -> str:
    return f"{state} ({reason})" if reason else str(state)


def _conflict(conflict: LedgerConflict) -> str:
    match conflict:
        case IllegalTransition(state=state):
            return f"not from {state}"
        case OrderMismatch():
            return "the key belongs to another request"
        case UnknownTransfer():
            return "never opened"
        case NotReversible():
            return "cannot be brought back"
    raise AssertionError(f"no story knows this conflict: {conflict!r}")


def _must(holds: bool, told: str) -> None:
    """One place for all differences, so that Hypothesis takes them for one failure and shrinks to the shortest."""
    if not holds:
        raise AssertionError(told)


async def all_of(answers: Iterable[Awaitable[Answer]]) -> list[Answer]:
    """At once, and nothing is left running behind an error."""
    found = await asyncio.gather(*answers, return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in found if isinstance(answer, Answer)]


async def one_step(teller: Teller, books: PlainBooks, step: Step) -> PlainBooks:
    due = books.take(step)
    answer, found = await teller.take(step), await teller.picture()
    _must(answer == due, f"{step} -> {answer} where {due} was due")
    _must(found == books.picture(), f"{step} left {found} where {books.picture()} was due")
    return books


async def steps_at_once(teller: Teller, books: PlainBooks, steps: tuple[Step, ...]) -> PlainBooks:
    """Whatever came first: some order of these steps, one after the other, explains every answer and the books."""
    answers = await all_of(map(teller.take, steps))
    found = await teller.picture()
    for explained in books.orders(steps, answers):
        if explained.picture() == found:
            return explained
    told = "\n".join(f"    {step} -> {answer.said}" for step, answer in zip(steps, answers, strict=True))
    _must(False, f"no order of these steps explains\n{told}\nfrom {books.picture()}\n  to {found}")
    return books


@pytest.mark.timeout(LONG_RUN_SECONDS)
@given(story=stories())
async def test_the_books_and_plain_numbers_never_differ(database: Database, eraser: Eraser, story: Story) -> None:
    await eraser.empty()
    teller, books = await Teller.at(database), PlainBooks(ACCOUNTS)
    for step in (*PROLOGUE, *story.steps):
        if isinstance(step, AtOnce):
            books = await steps_at_once(teller, books, step.steps)
        else:
            books = await one_step(teller, books, step)
    found = await audit(database, FINGERPRINTS)
    # Whose account the source is, the API checks: in these stories people also order from accounts of others.
    assert [broken for broken in found.broken if broken.invariant != "owner_owns_source"] == []
    assert found.transfers_by_state == books.by_state()
    assert [
        Sums(t.currency, t.accounts, t.entries, t.customers_minor, t.in_transit_minor, t.world_minor)
        for t in found.totals
    ] == books.sums()
    await eraser.empty()
