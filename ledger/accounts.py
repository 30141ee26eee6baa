"""Customer accounts: what steps decide on, and their figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from ledger.account_numbers import AccountNumber
from ledger.ids import AccountId, CustomerId
from ledger.limits.sent_totals import Spending
from ledger.transfers import Side


class AccountStatus(StrEnum):
    """Whether money may move. A frozen account may be opened again; a closed one never."""

    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSED = "closed"


# Checked under the account's row lock, and once more by a trigger. A status may always stay what it is.
NEXT_STATUS: Mapping[AccountStatus, frozenset[AccountStatus]] = {
    AccountStatus.ACTIVE: frozenset({AccountStatus.FROZEN, AccountStatus.CLOSED}),
    AccountStatus.FROZEN: frozenset({AccountStatus.ACTIVE, AccountStatus.CLOSED}),
    AccountStatus.CLOSED: frozenset(),
}
assert NEXT_STATUS.keys() == set(AccountStatus)


class Freeze(StrEnum):
    """What a freeze stops: money that leaves the account, money that reaches it, or both. Never a refund to it."""

    DEBITS = "debits"
    CREDITS = "credits"
    BOTH = "both"

    def stops(self, side: Side) -> bool:
        """Whether the account may not be on this side of a transfer."""
        return self is Freeze.BOTH or self is (Freeze.DEBITS if side == "source" else Freeze.CREDITS)


@dataclass(frozen=True, slots=True)
class Account:
    """A customer's account in one currency.

    `version` counts its entries and `head_hash` is the hash of the newest one: the chain that makes an edited, dropped
    or reordered entry visible. `held_minor` is the part of the balance that is kept for reversals.
    `number` is what payers may use for its id, and `name` what its owner calls it.
    `frozen` says what is stopped, while the status is `frozen`. Only
    funding accounts, which are the system's, have an overdraft: how far their balance may go below zero.
    `owner_verified` says whether the owner's identity is verified: until then money comes in, and leaves only by a
    reversal. It never becomes false again. `spent_on` and the two after it count what it has sent, for its limits.
    """

    id: AccountId
    owner_id: CustomerId
    currency: str
    status: AccountStatus
    tier: int
    balance_minor: int
    version: int
    head_hash: bytes
    created_at: datetime
    held_minor: int
    number: AccountNumber
    name: str | None = None
    frozen: Freeze | None = None
    overdraft_minor: int = 0
    spent_on: date | None = None
    spent_day_minor: int = 0
    spent_month_minor: int = 0
    owner_verified: bool = False

    @property
    def available_minor(self) -> int:
        """What may be spent: the balance without what is held, and what it may go below zero."""
        return self.balance_minor - self.held_minor + self.overdraft_minor

    def is_stopped(self, side: Side) -> bool:
        """Whether a freeze keeps the account from being on this side of a transfer."""
        return self.status is AccountStatus.FROZEN and (self.frozen is None or self.frozen.stops(side))

    @property
    def spending(self) -> Spending:
        """What it has sent, for its limits."""
        return Spending(self.spent_on, self.spent_day_minor, self.spent_month_minor)

    def holding_less(self, released_minor: int) -> "Account":
        """The account with so much less held."""
        return replace(self, held_minor=self.held_minor - released_minor)


@dataclass(frozen=True, slots=True)
class AccountStatistics:
    """All that ever happened to an account, in numbers and in minor units.

    An amount that came back because its transfer was compensated is taken off again. Reversals count as transfers.
    `balance_minor` is what was deposited and came in, less what was withdrawn and went out.
    """

    version: int
    balance_minor: int
    deposits: int
    deposited_minor: int
    withdrawals: int
    withdrawn_minor: int
    incoming: int
    incoming_minor: int
    outgoing: int
    outgoing_minor: int
    last_activity_at: datetime | None
