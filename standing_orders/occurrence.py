"""Occurrences: one for each date of a standing order that has come or was skipped, and what became of it. Pure."""

import datetime as dt
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, StandingOrderId, TransferId, transfer_id_for
from ledger.money import MAX_AMOUNT_MINOR, Money
from ledger.refusals import (
    REFUSAL_CODES,
    AccountFrozen,
    BalanceLimitExceeded,
    IdentityNotVerified,
    InsufficientFunds,
    LimitExceeded,
    Refusal,
)
from ledger.transfers import UNSIGNED, Failure, Kind, Standing, State, TransferOrder
from ledger.workflow_ids import standing_order_key, transfer_workflow_id
from standing_orders.calendar import RunHours, local_date
from standing_orders.standing_order import OutageRule


class OccurrenceState(StrEnum):
    """What became of a date. One that is `coming` has no row yet.

    `due`: it is tried now, and again at set times while money is missing. `under_way`: its transfer waits for a review
    or for its own workflow. `missed`: its time has passed without a payment. `failed`: it was refused for good.
    """

    COMING = "coming"
    DUE = "due"
    UNDER_WAY = "under_way"
    PAID = "paid"
    MISSED = "missed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether nothing becomes of it any more."""
        return self in (OccurrenceState.PAID, OccurrenceState.MISSED, OccurrenceState.FAILED, OccurrenceState.SKIPPED)


# Why a date was skipped or missed, where no refusal says so.
BY_OWNER = Failure("by_owner", "Its owner has skipped this date.")
PAUSED = Failure("paused", "The standing order was paused.")
CANCELLED = Failure("cancelled", "The standing order was cancelled.")
NOTHING_ABOVE = Failure("nothing_above", "The source account held nothing above what is to stay.")
OUTAGE = Failure("outage", "Nothing ran on its day, and the order says not to pay later.")
KEY_TAKEN = Failure("idempotency_key_reused", "The key of this payment was used for another request.")
REASONS = (BY_OWNER, PAUSED, CANCELLED, NOTHING_ABOVE, OUTAGE, KEY_TAKEN)

# Why a date was not paid, or not yet: these reasons, refusals, and how a transfer ended that has none.
OCCURRENCE_CODES = tuple(dict.fromkeys([*(reason.code for reason in REASONS), *REFUSAL_CODES, State.COMPENSATED.value]))

# These may be over by the next try: money arrives, a day's limit begins anew, staff unfreeze or verify somebody. All
# others stay, and end the occurrence at once.
_PASSING: tuple[type[Refusal], ...] = (
    AccountFrozen,
    BalanceLimitExceeded,
    IdentityNotVerified,
    InsufficientFunds,
    LimitExceeded,
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An occurrence's row: a date of an order, with the terms that the order had when it fell due.

    `date` is the calendar's, `paid_on` the day on which it is paid. `stamp` proves that Remit made it from an order.
    """

    order_id: StandingOrderId
    date: dt.date
    number: int
    paid_on: dt.date
    state: OccurrenceState
    code: str | None
    message: str | None
    tries: int
    next_try_at: datetime | None
    source_account_id: AccountId
    destination_account_id: AccountId
    currency: str
    amount_minor: int | None
    above_minor: int | None
    note: str | None
    transfer_id: TransferId | None
    stamp: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def contents(self) -> tuple[object, ...]:
        """What its stamp covers, as JSON values in an order that never changes."""
        return (
            "occurrence",
            self.order_id,
            self.date.isoformat(),
            self.source_account_id,
            self.destination_account_id,
            self.currency,
            self.amount_minor,
            self.above_minor,
            self.note,
        )


@dataclass(frozen=True, slots=True)
class DueOccurrence:
    """An occurrence with what its order says about it today."""

    occurrence: Occurrence
    owner_id: CustomerId
    time_zone: str
    retry_days: int
    after_outage: OutageRule

    def order(self, amount_minor: int) -> TransferOrder:
        """The one transfer that this date can ever have, not signed yet."""
        due = self.occurrence
        key = standing_order_key(due.order_id, due.date)
        return TransferOrder(
            transfer_id=transfer_id_for(self.owner_id, key),
            owner_id=self.owner_id,
            idempotency_key=key,
            fingerprint=UNSIGNED,
            kind=Kind.TRANSFER,
            source_account_id=due.source_account_id,
            destination_account_id=due.destination_account_id,
            amount_minor=amount_minor,
            currency=due.currency,
            workflow_id=transfer_workflow_id(self.owner_id, key),
            note=due.note,
        )

    def amount_from(self, source: Account | None) -> int | None:
        """What it pays: the fixed amount, or what this account holds above; None: it holds nothing above."""
        due = self.occurrence
        if due.above_minor is None or source is None:
            return due.amount_minor or 1  # of an account that does not exist, any amount is refused
        above = min(source.available_minor - due.above_minor, MAX_AMOUNT_MINOR)
        return above if above > 0 else None

    def missed_by_outage(self, now: datetime) -> Occurrence | None:
        """It as missed, where its days have passed meanwhile and its order says not to pay later; None: it is tried."""
        due = self.occurrence
        last = due.paid_on if due.tries == 0 else due.paid_on + timedelta(days=self.retry_days)
        if self.after_outage is not OutageRule.MISS or local_date(now, self.time_zone) <= last:
            return None
        return self.missed(OUTAGE)

    def paid(self, transfer_id: TransferId, amount_minor: int) -> Occurrence:
        """Once its transfer is completed."""
        return self._ended(OccurrenceState.PAID, None, transfer_id, amount_minor)

    def under_way(self, transfer_id: TransferId, amount_minor: int) -> Occurrence:
        """Once its transfer goes on in a workflow of its own."""
        return self._ended(OccurrenceState.UNDER_WAY, None, transfer_id, amount_minor)

    def skipped(self, why: Failure) -> Occurrence:
        """Without a transfer, and nothing is wrong."""
        return self._ended(OccurrenceState.SKIPPED, why)

    def missed(self, why: Failure) -> Occurrence:
        """Its time has passed without a payment."""
        return self._ended(OccurrenceState.MISSED, why)

    def failed(
        self, why: Failure, transfer_id: TransferId | None = None, amount_minor: int | None = None
    ) -> Occurrence:
        """It was refused for good."""
        return self._ended(OccurrenceState.FAILED, why, transfer_id, amount_minor)

    def refused(self, refusal: Refusal, hours: RunHours, now: datetime) -> Occurrence:
        """Tried again where the refusal may pass, until the deadline. A refusal that stays ends it."""
        if not may_pass(refusal):
            return self.failed(refusal.failure)
        due = self.occurrence
        again = hours.next_try(due.paid_on, self.time_zone, self.retry_days, now)
        if again is None:
            return self.missed(refusal.failure)
        failure = refusal.failure
        return replace(due, code=failure.code, message=failure.message, tries=due.tries + 1, next_try_at=again)

    def after(self, standing: Standing, amount_minor: int) -> Occurrence:
        """As its transfer stands."""
        transfer_id = standing.duplicate_of or standing.transfer_id
        if standing.state is State.COMPLETED:
            return self.paid(transfer_id, amount_minor)
        if standing.state.is_final:
            why = standing.failure or Failure(standing.state.value, f"Its transfer is {standing.state}.")
            return self.failed(why, transfer_id, amount_minor)
        return self.under_way(transfer_id, amount_minor)

    def _ended(
        self,
        state: OccurrenceState,
        why: Failure | None,
        transfer_id: TransferId | None = None,
        amount_minor: int | None = None,
    ) -> Occurrence:
        due = self.occurrence
        return replace(
            due,
            state=state,
            code=why.code if why else None,
            message=why.message if why else None,
            tries=due.tries + 1,
            next_try_at=None,
            amount_minor=due.amount_minor if amount_minor is None else amount_minor,
            transfer_id=transfer_id,
        )


def may_pass(refusal: Refusal) -> bool:
    """Whether another try may be answered otherwise. A limit for one transaction stays what it is."""
    if isinstance(refusal, LimitExceeded):
        return refusal.resets_at is not None
    return isinstance(refusal, _PASSING)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one step of a sweep did: how many dates fell due, and what became of those that it tried.

    `left`: how many it could not decide about now; the next sweep tries them. `more`: its time ended before the work.
    """

    fell_due: int = 0
    paid: int = 0
    under_way: int = 0
    waiting: int = 0
    missed: int = 0
    failed: int = 0
    skipped: int = 0
    left: int = 0
    more: bool = False

    def plus(self, other: "SweepReport") -> "SweepReport":
        """Both together."""
        return SweepReport(
            self.fell_due + other.fell_due,
            self.paid + other.paid,
            self.under_way + other.under_way,
            self.waiting + other.waiting,
            self.missed + other.missed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.left + other.left,
            other.more,
        )


def notice_of(occurrence: Occurrence) -> str | None:
    """What the order's owner reads when a date was not paid. Of one that was paid, its transfer tells."""
    if occurrence.state not in (OccurrenceState.MISSED, OccurrenceState.FAILED) or occurrence.transfer_id is not None:
        return None
    amount = f" of {Money(occurrence.amount_minor, occurrence.currency)}" if occurrence.amount_minor else ""
    # What is wrong with somebody else's account is not the payer's to know.
    why = occurrence.message if occurrence.code in _OWN_REASONS else "It could not be delivered."
    verb = "was missed" if occurrence.state is OccurrenceState.MISSED else "was refused"
    return f"The payment{amount} of {occurrence.date} by standing order {occurrence.order_id} {verb}. {why}"


_OWN_REASONS = frozenset(
    {*(reason.code for reason in REASONS), InsufficientFunds.code, LimitExceeded.code, IdentityNotVerified.code}
)
