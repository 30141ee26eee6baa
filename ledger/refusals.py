"""Refusals: a business "no", with a code from one closed list. Never retried, and never an error of the service."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ledger.ids import AccountId, TransferId
from ledger.limits.tier_limits import LimitName
from ledger.money import Money
from ledger.transfers import Failure, Side, State


class Refusal(Exception):
    """A rule refuses the step. Subclasses carry the facts; `str()` is a sentence that the customer may read.

    The destination mostly belongs to somebody else, so a sentence about it reveals no more than the code does: neither
    its id, which the customer has sent, nor its balance.
    """

    code: ClassVar[str]
    # Which account it is about. Each subclass says so; without a value here no dataclass takes it for a default.
    side: Side | None

    @property
    def failure(self) -> Failure:
        """The refusal as it is kept with the transfer."""
        return Failure(self.code, str(self), self.side)


# `eq=False` and not frozen: an exception must keep its identity and take its traceback.
@dataclass(eq=False)
class AccountNotFound(Refusal):
    """No account has this id. `side` is None if the request was not about a transfer."""

    code = "account_not_found"
    account_id: AccountId
    side: Side | None = None

    def __str__(self) -> str:
        return f"The {self.side} account does not exist." if self.side else f"There is no account {self.account_id}."


@dataclass(eq=False)
class SameAccount(Refusal):
    """Source and destination are one account."""

    code = "same_account"
    side = None
    account_id: AccountId

    def __str__(self) -> str:
        return f"Source and destination are both {self.account_id}; a transfer needs two accounts."


@dataclass(eq=False)
class CurrencyMismatch(Refusal):
    """The account holds another currency than the transfer moves."""

    code = "currency_mismatch"
    account_id: AccountId
    side: Side
    asked: str

    def __str__(self) -> str:
        return f"The {self.side} account does not hold {self.asked}, the currency of the transfer."


@dataclass(eq=False)
class AccountClosed(Refusal):
    """The account takes part in nothing any more."""

    code = "account_closed"
    account_id: AccountId
    side: Side

    def __str__(self) -> str:
        return f"The {self.side} account is closed."


@dataclass(eq=False)
class AccountFrozen(Refusal):
    """The account is on hold until an operator opens it again."""

    code = "account_frozen"
    account_id: AccountId
    side: Side

    def __str__(self) -> str:
        return f"The {self.side} account is frozen."


@dataclass(eq=False)
class IdentityNotVerified(Refusal):
    """The owner's identity is not verified: money comes in, and leaves only by a reversal."""

    code = "identity_not_verified"
    side = "source"
    account_id: AccountId

    def __str__(self) -> str:
        return "The identity of the source account's owner is not verified yet, and nothing is sent from it until then."


@dataclass(eq=False)
class LimitExceeded(Refusal):
    """A limit of the source does not leave room for the amount: for one transaction, a day or a month.

    `side` is None where the service's cap for one transaction refuses a deposit, whose source is nobody's.
    """

    code = "limit_exceeded"
    side: Side | None
    limit: LimitName
    most: Money
    left: Money
    resets_at: datetime | None = None

    def __str__(self) -> str:
        if self.resets_at is None:
            return f"The limit for one transaction is {self.most}."
        period = "day" if self.limit is LimitName.DAILY_TOTAL else "month"
        return (
            f"The source account may send {self.most} a {period}: {self.left} is left until "
            f"{self.resets_at:%Y-%m-%d %H:%M} UTC."
        )


@dataclass(eq=False)
class ReversalTooLarge(Refusal):
    """Other reversals have taken, or are taking, so much of the transfer that this reversal does not fit."""

    code = "limit_exceeded"
    side = None
    transfer_id: TransferId
    left: Money

    def __str__(self) -> str:
        return f"Of the transfer to be reversed, at most {self.left} is left to give back."


@dataclass(eq=False)
class InsufficientFunds(Refusal):
    """The source holds less than the transfer asks for."""

    code = "insufficient_funds"
    side = "source"
    account_id: AccountId
    short_by: Money

    def __str__(self) -> str:
        return f"The source account is short by {self.short_by}."


@dataclass(eq=False)
class BalanceLimitExceeded(Refusal):
    """The destination would hold more than it may. `left` is how much more fits; None: that is not the reader's."""

    code = "balance_limit_exceeded"
    side = "destination"
    account_id: AccountId
    limit: Money
    left: Money | None = None

    def __str__(self) -> str:
        if self.left is None:
            return "The destination account would hold more than it may."
        return f"The destination account may hold {self.limit}: {self.left} more fits."


@dataclass(eq=False)
class FraudDeclined(Refusal):
    """Screening declined the transfer. The customer does not learn which rule."""

    code = "fraud_declined"
    side = None

    def __str__(self) -> str:
        return "The transfer was declined by screening."


@dataclass(eq=False)
class ReviewRejected(Refusal):
    """A reviewer rejected the transfer."""

    code = "review_rejected"
    side = None

    def __str__(self) -> str:
        return "The transfer was rejected in review."


@dataclass(eq=False)
class ReviewExpired(Refusal):
    """Nobody decided in time."""

    code = "review_expired"
    side = None

    def __str__(self) -> str:
        return "The transfer was not reviewed in time."


@dataclass(eq=False)
class Abandoned(Refusal):
    """The transfer lost its workflow before any money moved, and recovery ended it."""

    code = "abandoned"
    side = None

    def __str__(self) -> str:
        return "The transfer was interrupted before any money moved. Try it again."


# In the order in which they are decided: where several apply, the first one is the answer.
REFUSALS: tuple[type[Refusal], ...] = (
    AccountNotFound,
    SameAccount,
    CurrencyMismatch,
    AccountClosed,
    AccountFrozen,
    IdentityNotVerified,
    LimitExceeded,
    ReversalTooLarge,
    InsufficientFunds,
    BalanceLimitExceeded,
    FraudDeclined,
    ReviewRejected,
    ReviewExpired,
    Abandoned,
)
# Two refusals share a code: what a limit leaves, and what is left of a transfer.
REFUSAL_CODES = tuple(dict.fromkeys(refusal.code for refusal in REFUSALS))


class LedgerConflict(Exception):
    """A step that the ledger forbids, whoever asks. Nothing changed; asking again changes nothing either."""


@dataclass(eq=False)
class IllegalTransition(LedgerConflict):
    """The transfer's state does not allow this step: it comes late, out of order or for another attempt."""

    transfer_id: TransferId
    state: State
    step: str

    def __str__(self) -> str:
        return f"Transfer {self.transfer_id} is {self.state}; {self.step} is not possible from there."


@dataclass(eq=False)
class OrderMismatch(LedgerConflict):
    """The key belongs to another request: to an order with other contents, or to a repeated `transaction_id`."""

    transfer_id: TransferId

    def __str__(self) -> str:
        return f"The key of transfer {self.transfer_id} belongs to a request with other contents."


@dataclass(eq=False)
class TransactionIdTaken(LedgerConflict):
    """Another movement of the account has the order's `transaction_id`."""

    transfer_id: TransferId
    first_id: TransferId

    def __str__(self) -> str:
        return f"Transfer {self.first_id} has this transaction_id, for another amount or another account."


@dataclass(eq=False)
class OrderForged(LedgerConflict):
    """The order is not one that the API accepted: its fingerprint does not match its contents."""

    transfer_id: TransferId

    def __str__(self) -> str:
        return f"The order of transfer {self.transfer_id} is not one that the API accepted; no money has moved."


@dataclass(eq=False)
class NotReversible(LedgerConflict):
    """A reversal of what cannot be reversed, or one that does not mirror its transfer."""

    transfer_id: TransferId
    why: str

    def __str__(self) -> str:
        return f"Transfer {self.transfer_id} cannot be reversed like this: {self.why}."


@dataclass(eq=False)
class NotFundable(LedgerConflict):
    """A funding that staff may not ask for, or that cannot be recorded."""

    transfer_id: TransferId
    why: str

    def __str__(self) -> str:
        return f"Funding {self.transfer_id} is not possible: {self.why}."


@dataclass(eq=False)
class UnknownTransfer(LedgerConflict):
    """A step for a transfer that was never opened."""

    transfer_id: TransferId

    def __str__(self) -> str:
        return f"Transfer {self.transfer_id} has not been opened."


class ActionRefused(Exception):
    """The action is impossible, or this person may not do it. Nothing changed, and nothing is recorded."""

    code: ClassVar[str]


@dataclass(eq=False)
class MoreHeldThanBalance(ActionRefused):
    """An account is rebuilt only if what it holds is no more than the balance that its entries give it."""

    code = "more_held_than_balance"
    account_id: AccountId

    def __str__(self) -> str:
        return f"Account {self.account_id} holds more than the balance that its entries give it: release that first."


@dataclass(eq=False)
class EntriesBroken(ActionRefused):
    """An account is rebuilt only from entries that are what was written."""

    code = "entries_broken"
    account_id: AccountId
    findings: list[str]

    def __str__(self) -> str:
        found = "; ".join(self.findings)
        return f"The entries of account {self.account_id} are not what was written, so it is left as it is: {found}."
