"""What each step does to a transfer and to one customer account, or why not. Pure: no I/O, no clock.

Every `decide_*` is called under the row locks, or on cached rows that the write compares under its locks. It returns
the change to write, or None where the step has already happened. It raises a refusal (a business "no"), or
`IllegalTransition` where the state forbids the step.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.accounts import Account, AccountStatus
from ledger.chain import entry_hash
from ledger.ids import CLEARING, WORLD, AccountId, posting_id
from ledger.limits.sent_totals import Spending
from ledger.limits.tier_limits import COUNTED, LIMITED, LimitName, LimitTable
from ledger.money import MAX_AMOUNT_MINOR, Money
from ledger.refusals import (
    REFUSALS,
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    BalanceLimitExceeded,
    CurrencyMismatch,
    IdentityNotVerified,
    IllegalTransition,
    InsufficientFunds,
    LimitExceeded,
    Refusal,
    ReviewRejected,
    SameAccount,
)
from ledger.transfers import MAX_ATTEMPTS, NEXT_STATE, Failure, Kind, Leg, Side, State, Transfer, TransferOrder

# The failure of a transfer whose amount was returned because somebody cancelled it after its debit.
CANCELLED_IN_TRANSIT = Failure("cancelled", "The transfer was cancelled after its debit; the amount was returned.")

_ENDED_BY_STAFF = frozenset({CANCELLED_IN_TRANSIT.code, ReviewRejected.code})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a customer's statement: what a posting did to their balance, and to what counts for their limits."""

    account_id: AccountId
    version: int
    amount_minor: int
    balance_before: int
    balance_after: int
    hash: bytes
    spending: Spending

    def after(self, account: Account) -> Account:
        """The account once this is written."""
        return replace(
            account,
            balance_minor=self.balance_after,
            version=self.version,
            head_hash=self.hash,
            spent_on=self.spending.day,
            spent_day_minor=self.spending.day_minor,
            spent_month_minor=self.spending.month_minor,
        )


@dataclass(frozen=True, slots=True)
class Posting:
    """One balanced fact: the amount leaves one account for the other. No `entry` where both are system accounts."""

    leg: Leg
    debit_account_id: AccountId
    credit_account_id: AccountId
    amount_minor: int
    currency: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Change:
    """All that one step writes, in one statement: the transfer's new state and, where money moves, its posting.

    `screened_by` is kept beside the state; None leaves it as it is.
    """

    transfer: Transfer
    state: State
    recorded_at: datetime
    posting: Posting | None = None
    failure: Failure | None = None
    screened_by: str | None = None

    @property
    def after(self) -> Transfer:
        """The transfer once this is written."""
        completed_at = self.recorded_at if self.state.is_final else None
        return replace(
            self.transfer,
            state=self.state,
            failure=self.failure,
            updated_at=self.recorded_at,
            completed_at=completed_at,
        )


def first_refusal(refusals: Iterator[Refusal]) -> Refusal | None:
    """The one that comes first in `REFUSALS`, whichever rule found it first."""
    return min(refusals, key=lambda refusal: REFUSALS.index(type(refusal)), default=None)


def objection_to(
    order: TransferOrder, source: Account | None, destination: Account | None, limits: LimitTable, now: datetime
) -> Refusal | None:
    """The first refusal that can be foreseen from unlocked reads, before screening and before any money moves.

    Advice, not a decision: `decide_debit` and `decide_credit` ask again under the locks. What is held for a reversal is
    read by its debit alone: here everything counts as free for it.
    """
    if source is not None and order.reverses_transfer_id is not None:
        source = replace(source, held_minor=0)

    def objections() -> Iterator[Refusal]:
        yield from _objections_to_source(order, source, limits, now)
        yield from _objections_to_destination(order, destination, limits)

    return first_refusal(objections())


def decide_debit(
    transfer: Transfer, attempt: int, source: Account | None, limits: LimitTable, now: datetime
) -> Change | None:
    """Take the amount from the source into clearing. `source` is None for `world`, which only the cap ever refuses.

    For a reversal, what the source's account holds for it counts as free: its `held_minor` leaves that out.
    """
    _of_this_attempt(transfer, attempt, "the debit")
    if transfer.state in (State.DEBITED, State.COMPLETED, State.COMPENSATED):
        return None
    _may_become(transfer, State.DEBITED, "the debit")
    if refusal := first_refusal(_objections_to_source(transfer.order, source, limits, now)):
        raise refusal
    spending = None
    if source is not None and transfer.kind in COUNTED:
        now = source.spending.not_before(now)
        spending = source.spending.plus(transfer.amount_minor, now)
    entry = _entry(transfer, Leg.DEBIT, source, -transfer.amount_minor, now, spending)
    posting = _posting(transfer, Leg.DEBIT, transfer.source_account_id, CLEARING, entry)
    return Change(transfer, State.DEBITED, now, posting)


def decide_credit(
    transfer: Transfer, attempt: int, destination: Account | None, limits: LimitTable, now: datetime
) -> Change | None:
    """Hand the amount from clearing to the destination. `destination` is None for `world`."""
    _of_this_attempt(transfer, attempt, "the credit")
    if transfer.state is State.COMPLETED:
        return None
    _may_become(transfer, State.COMPLETED, "the credit")
    if refusal := first_refusal(_objections_to_destination(transfer.order, destination, limits)):
        raise refusal
    entry = _entry(transfer, Leg.CREDIT, destination, transfer.amount_minor, now)
    posting = _posting(transfer, Leg.CREDIT, CLEARING, transfer.destination_account_id, entry)
    return Change(transfer, State.COMPLETED, now, posting)


def decide_refund(
    transfer: Transfer, attempt: int, source: Account | None, failure: Failure | None, now: datetime
) -> Change | None:
    """Return the amount from clearing to the source. Never refused: a frozen or closed source gets its money back.

    What the debit has used of a day's and a month's total is free again.

    Where nothing was taken yet, it leaves a tombstone instead: the transfer ends as cancelled, and a debit that
    arrives afterwards is refused by the state.
    """
    _of_this_attempt(transfer, attempt, "the refund")
    if transfer.state in (State.COMPENSATED, State.CANCELLED, State.FAILED):
        return None
    if transfer.state is not State.DEBITED:
        return decide_end(transfer, attempt, State.CANCELLED, failure, now)
    _may_become(transfer, State.COMPENSATED, "the refund")
    spending = None
    if source is not None and transfer.kind in COUNTED:
        # What is in transit was changed last by its debit.
        spending = source.spending.minus(transfer.amount_minor, transfer.updated_at)
    entry = _entry(transfer, Leg.REFUND, source, transfer.amount_minor, now, spending)
    posting = _posting(transfer, Leg.REFUND, CLEARING, transfer.source_account_id, entry)
    return Change(transfer, State.COMPENSATED, now, posting, failure)


def decide_review(transfer: Transfer, attempt: int, now: datetime) -> Change | None:
    """Let the transfer wait for a person's decision; its money stays with the source."""
    _of_this_attempt(transfer, attempt, "the review")
    if transfer.state is State.IN_REVIEW:
        return None
    _may_become(transfer, State.IN_REVIEW, "the review")
    return Change(transfer, State.IN_REVIEW, now)


def decide_reopening(transfer: Transfer, attempt: int) -> bool:
    """Whether a failed or compensated transfer is to begin this attempt now. False: it has begun it already.

    Attempts come one after the other and are at most `MAX_ATTEMPTS`; a transfer that has gone beyond this attempt is
    left as it is.
    """
    if attempt <= transfer.attempt:
        return False
    if attempt != transfer.attempt + 1 or attempt > MAX_ATTEMPTS:
        raise IllegalTransition(transfer.id, transfer.state, f"attempt {attempt}")
    _may_become(transfer, State.INITIATED, f"attempt {attempt}")
    return True


def decide_end(transfer: Transfer, attempt: int, state: State, failure: Failure | None, now: datetime) -> Change | None:
    """End a transfer whose money never left the source, as `failed` or `cancelled`."""
    _of_this_attempt(transfer, attempt, f"ending it as {state}")
    if transfer.state is state:
        return None
    _may_become(transfer, state, f"ending it as {state}")
    return Change(transfer, state, now, failure=failure)


def ended_by_staff(transfer: Transfer) -> bool:
    """Whether a decision of staff ended it: a rejection in review, or a cancellation after the debit.

    Only staff may try such a transfer again. Customers can cancel until the debit, and what they cancelled is over.
    """
    return transfer.failure is not None and transfer.failure.code in _ENDED_BY_STAFF


def _of_this_attempt(transfer: Transfer, attempt: int, step: str) -> None:
    if attempt != transfer.attempt:
        raise IllegalTransition(transfer.id, transfer.state, f"{step} of attempt {attempt}")


def _may_become(transfer: Transfer, state: State, step: str) -> None:
    if state not in NEXT_STATE[transfer.state]:
        raise IllegalTransition(transfer.id, transfer.state, step)


def _objections_to_source(
    order: TransferOrder, source: Account | None, limits: LimitTable, now: datetime
) -> Iterator[Refusal]:
    if order.source_account_id == order.destination_account_id:
        yield SameAccount(order.source_account_id)
    if order.source_account_id == WORLD:
        yield from _objections_to_deposit(order, limits)
        return
    if source is None:
        yield AccountNotFound(order.source_account_id, "source")
        return
    yield from _objections_to_account(order, source, "source")
    # A reversal brings back what was somebody else's: it waits for nobody's identity.
    if order.kind is not Kind.REVERSAL and not source.owner_verified:
        yield IdentityNotVerified(source.id)
    if order.kind in COUNTED:
        yield from _objections_to_sending(order, source, limits, now)
    if source.available_minor < order.amount_minor:
        yield InsufficientFunds(source.id, Money(order.amount_minor - source.available_minor, source.currency))


def _objections_to_deposit(order: TransferOrder, limits: LimitTable) -> Iterator[Refusal]:
    cap = limits.cap_minor(order.currency) if order.kind in LIMITED else None
    if cap is not None and order.amount_minor > cap:
        most = Money(cap, order.currency)
        yield LimitExceeded(None, LimitName.ONE_TRANSACTION, most, most)


def _objections_to_sending(
    order: TransferOrder, source: Account, limits: LimitTable, now: datetime
) -> Iterator[Refusal]:
    exceeded = limits.exceeded(source.tier, source.currency, source.spending, order.amount_minor, now)
    if exceeded is not None:
        assert exceeded.limit_minor is not None
        assert exceeded.left_minor is not None
        most, left = Money(exceeded.limit_minor, source.currency), Money(exceeded.left_minor, source.currency)
        yield LimitExceeded("source", exceeded.name, most, left, exceeded.resets_at)


def _objections_to_destination(
    order: TransferOrder, destination: Account | None, limits: LimitTable
) -> Iterator[Refusal]:
    if order.destination_account_id == WORLD:
        return
    if destination is None:
        yield AccountNotFound(order.destination_account_id, "destination")
        return
    yield from _objections_to_account(order, destination, "destination")
    if destination.balance_minor + order.amount_minor > MAX_AMOUNT_MINOR:
        yield BalanceLimitExceeded(destination.id, Money(MAX_AMOUNT_MINOR, destination.currency))
    allowance = limits.holding(destination.tier, destination.currency, destination.balance_minor)
    if order.kind in LIMITED and not allowance.fits(order.amount_minor):
        assert allowance.limit_minor is not None
        assert allowance.left_minor is not None
        # A payer learns neither limit nor balance of the payee; a depositor's account is their own.
        may_see_what_is_left = order.kind in (Kind.DEPOSIT, Kind.FUNDING)
        left = Money(allowance.left_minor, destination.currency) if may_see_what_is_left else None
        yield BalanceLimitExceeded(destination.id, Money(allowance.limit_minor, destination.currency), left)


def _objections_to_account(order: TransferOrder, account: Account, side: Side) -> Iterator[Refusal]:
    if account.currency != order.currency:
        yield CurrencyMismatch(account.id, side, order.currency)
    if account.status is AccountStatus.CLOSED:
        yield AccountClosed(account.id, side)
    if account.is_stopped(side):
        yield AccountFrozen(account.id, side)


def _posting(transfer: Transfer, leg: Leg, debit: AccountId, credit: AccountId, entry: Entry | None) -> Posting:
    return Posting(leg, debit, credit, transfer.amount_minor, transfer.currency, entry)


def _entry(
    transfer: Transfer,
    leg: Leg,
    account: Account | None,
    amount_minor: int,
    now: datetime,
    spending: Spending | None = None,
) -> Entry | None:
    if account is None:
        return None
    version = account.version + 1
    after = account.balance_minor + amount_minor
    posting = posting_id(transfer.id, transfer.attempt, leg)
    digest = entry_hash(
        account.head_hash, account.id, version, posting, amount_minor, account.balance_minor, after, now
    )
    return Entry(account.id, version, amount_minor, account.balance_minor, after, digest, spending or account.spending)


def kind_of(source: AccountId, destination: AccountId) -> Kind:
    """What a movement between these two is to its customer."""
    if source == WORLD:
        return Kind.DEPOSIT
    return Kind.WITHDRAWAL if destination == WORLD else Kind.TRANSFER
