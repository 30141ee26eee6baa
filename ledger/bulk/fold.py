"""Many orders, decided one after the other in memory: each sees what those before it have changed.

Pure: no I/O, no clock. The rules are those of single transfers; here is only their order. An order ends as it would if
its own workflow had run alone, after those before it and before those behind it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger import rules
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.limits.tier_limits import LimitTable
from ledger.refusals import LedgerConflict, OrderMismatch, TransactionIdTaken
from ledger.rules import Change, Entry
from ledger.transfers import Failure, Kind, Standing, State, Transfer, TransferOrder

# An order's key, of all customers.
OwnedKey = tuple[CustomerId, str]
# An account, and a `transaction_id` that is unique in it.
OwnedReference = tuple[AccountId, str]


@dataclass(frozen=True, slots=True)
class Screened:
    """What screening says of one order. `screened_by` is kept with the transfer if it passes.

    `refusal`: it is declined. `needs_review`: a person has to decide first, so nothing is written for it here; these
    `review_rules` asked for it, and none did where screening gave no verdict.
    """

    screened_by: str | None = None
    refusal: Failure | None = None
    needs_review: bool = False
    review_rules: Sequence[str] = ()


# Asked for each order that no rule of the ledger refuses, in their order, with the payer's account as it is by then. An
# order that it lets pass is completed.
Screen = Callable[[TransferOrder, Account], Screened]


def passes(_: TransferOrder, __: Account) -> Screened:
    """Of an order that was screened before, or need not be."""
    return Screened()


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of one order of many.

    `standing` is what the transfer's row says: of this posting, or of an earlier one under the same key, which may
    still be under way. None: there is no transfer, because the order `needs_review`, or because of a `conflict`, after
    which asking again changes nothing. `is_new`: this posting wrote the row.
    """

    order: TransferOrder
    standing: Standing | None
    conflict: LedgerConflict | None = None
    needs_review: bool = False
    review_rules: Sequence[str] = ()
    is_new: bool = False

    @property
    def is_completed_now(self) -> bool:
        """Whether this posting has moved its money."""
        return self.is_new and self.standing is not None and self.standing.state is State.COMPLETED


@dataclass(frozen=True, slots=True)
class EndedTransfer:
    """A transfer that is written in its final state, with its rules. A completed one has both entries, at one time."""

    transfer: Transfer
    debit: Entry | None = None
    credit: Entry | None = None
    screened_by: str | None = None


@dataclass(slots=True)
class KnownOrders:
    """What the books have before: transfers by their key, and by their `transaction_id` where they hold it.

    A key without a transfer was used for a request that moves no money.
    """

    by_key: dict[OwnedKey, Transfer | None] = field(default_factory=dict)
    by_reference: dict[OwnedReference, Transfer] = field(default_factory=dict)


@dataclass(slots=True)
class Fold:
    """The orders that were decided so far, and what is to be written for them."""

    limits: LimitTable
    known: KnownOrders
    accounts: dict[AccountId, Account]
    ended: list[EndedTransfer] = field(default_factory=list)
    repeats: list[tuple[TransferOrder, TransferId]] = field(default_factory=list)
    changed: set[AccountId] = field(default_factory=set)

    def decide_all(
        self,
        orders: Sequence[TransferOrder],
        forged: Mapping[TransferId, LedgerConflict],
        now: datetime,
        screen: Screen,
    ) -> Iterator[BulkOutcome]:
        """Decide the orders in their order. Each is a microsecond later than the one before, so that lists keep it."""
        for place, order in enumerate(orders):
            if conflict := forged.get(order.transfer_id):
                yield BulkOutcome(order, None, conflict)
            else:
                yield self._found(order) or self._decide(order, now + timedelta(microseconds=place), screen)

    def _found(self, order: TransferOrder) -> BulkOutcome | None:
        """The outcome of an order whose key or `transaction_id` is taken. None: both are free."""
        key = (order.owner_id, order.idempotency_key)
        if key in self.known.by_key:
            named = self.known.by_key[key]
            if named is None or not _is_same(order, named):
                return BulkOutcome(order, None, OrderMismatch(order.transfer_id))
            return BulkOutcome(order, _standing_for(order, named))
        if order.transaction_id is None:
            return None
        first = self.known.by_reference.get((order.customer_account_id, order.transaction_id))
        if first is None:
            return None
        if not order.repeats(first):
            return BulkOutcome(order, None, TransactionIdTaken(order.transfer_id, first.id))
        self.known.by_key[key] = first
        self.repeats.append((order, first.id))
        return BulkOutcome(order, _standing_for(order, first))

    def _decide(self, order: TransferOrder, now: datetime, screen: Screen) -> BulkOutcome:
        assert order.kind is Kind.TRANSFER, "both sides are accounts of customers"
        assert order.attempt == 1, "a later attempt is a single"
        opened = Transfer(order, State.INITIATED, None, now, now, None)
        source = self.accounts.get(order.source_account_id)
        destination = self.accounts.get(order.destination_account_id)
        if objection := rules.objection_to(order, source, destination, self.limits, now):
            return self._end(opened, now, objection.failure)
        assert source is not None, "no rule objects"
        assert destination is not None, "no rule objects"
        screened = screen(order, source)
        if screened.needs_review:
            return BulkOutcome(order, None, needs_review=True, review_rules=screened.review_rules)
        if screened.refusal:
            return self._end(opened, now, screened.refusal)
        debit = rules.decide_debit(opened, 1, source, self.limits, now)
        assert debit is not None
        credit = rules.decide_credit(debit.after, 1, destination, self.limits, debit.recorded_at)
        assert credit is not None
        left, reached = self._enter(source, debit), self._enter(destination, credit)
        return self._add(EndedTransfer(credit.after, left, reached, screened.screened_by))

    def _enter(self, account: Account, change: Change) -> Entry:
        assert change.posting is not None
        entry = change.posting.entry
        assert entry is not None
        self.accounts[account.id] = entry.after(account)
        self.changed.add(account.id)
        return entry

    def _end(self, opened: Transfer, now: datetime, failure: Failure) -> BulkOutcome:
        change = rules.decide_end(opened, 1, State.FAILED, failure, now)
        assert change is not None
        return self._add(EndedTransfer(change.after))

    def _add(self, ended: EndedTransfer) -> BulkOutcome:
        transfer = ended.transfer
        order = transfer.order
        self.ended.append(ended)
        self.known.by_key[order.owner_id, order.idempotency_key] = transfer
        if order.transaction_id is not None and transfer.state is State.COMPLETED:
            self.known.by_reference[order.customer_account_id, order.transaction_id] = transfer
        return BulkOutcome(order, transfer.standing, is_new=True)


def _is_same(order: TransferOrder, named: Transfer) -> bool:
    if named.id == order.transfer_id:
        return order.contents == named.order.contents
    return order.repeats(named)


def _standing_for(order: TransferOrder, found: Transfer) -> Standing:
    if found.id == order.transfer_id:
        return found.standing
    return Standing(order.transfer_id, found.attempt, found.state, found.failure, duplicate_of=found.id)
