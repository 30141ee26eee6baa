"""Statements of accounts: what one says, what its lines are, and how far the sums of a long one have come. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ledger.account_numbers import AccountNumber
from ledger.ids import AccountId, CustomerId, PostingId, TransferId, posting_id
from ledger.money import Money
from ledger.refusals import ActionRefused
from ledger.transfers import Kind, Leg
from statements.statement_period import TimeZones, period_text


class StatementState(StrEnum):
    """`summing` until all lines are added up. What a statement says never changes."""

    SUMMING = "summing"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class StatementKey:
    """Which statement: an account's statements are numbered 1, 2, 3 … without a gap."""

    account_id: AccountId
    number: int

    def __str__(self) -> str:
        return f"{self.account_id}/{self.number}"


@dataclass(frozen=True, slots=True)
class Bank:
    """Who keeps the accounts, as statements print it."""

    name: str
    address: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatementTerms:
    """What the settings say of statements."""

    bank: Bank
    zones: TimeZones


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """An account's entries from `from_version` through `to_version`, and what they add up to.

    A row that is written once: also who held the account, who kept it and in which time zone days were counted, so
    that it reads the same for ever. Without entries `to_version` is one below `from_version`. `opening_hash` and
    `head_hash` are the hashes of the entry before the first one and of the last one. `month` is the first day of the
    month that a statement was made for by itself. The sums are complete once it is ready.
    """

    account_id: AccountId
    number: int
    owner_id: CustomerId
    account_number: AccountNumber
    currency: str
    holder_name: str
    bank_name: str
    bank_address: str
    time_zone: str
    begins_at: datetime
    ends_at: datetime
    month: date | None
    from_version: int
    to_version: int
    opening_minor: int
    closing_minor: int
    opening_hash: bytes
    head_hash: bytes
    made_at: datetime
    through_version: int
    credits: int
    credits_minor: int
    debits: int
    debits_minor: int
    ready_at: datetime | None

    @property
    def key(self) -> StatementKey:
        """Which one it is."""
        return StatementKey(self.account_id, self.number)

    @property
    def state(self) -> StatementState:
        """Whether its sums are complete."""
        return StatementState.SUMMING if self.ready_at is None else StatementState.READY

    @property
    def lines(self) -> int:
        """How many entries it has."""
        return self.to_version - self.from_version + 1

    @property
    def lines_summed(self) -> int:
        """How many of them are in the sums."""
        return self.through_version - self.from_version + 1

    @property
    def period(self) -> str:
        """From when until when, as people read it."""
        return period_text(self.begins_at, self.ends_at, self.time_zone)

    @property
    def message(self) -> str:
        """What the owner reads when it is ready."""
        closing = Money(self.closing_minor, self.currency)
        of_account = f"Statement {self.number} of your account {self.account_number}"
        return f"{of_account} is ready: {self.period}. It closes at {closing}."


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One entry as a statement shows it. `amount_minor` is signed: negative where money left.

    `counterparty` is the number of the other account; None: the outside world. `reference` is the `transaction_id`
    of whoever asked for the transfer, on their own statements only.
    """

    version: int
    transfer_id: TransferId
    attempt: int
    leg: Leg
    amount_minor: int
    balance_before: int
    balance_after: int
    recorded_at: datetime
    hash: bytes
    kind: Kind
    counterparty: AccountNumber | None
    note: str | None
    reference: str | None

    @property
    def posting_id(self) -> PostingId:
        """The posting that made the entry: its hash covers it."""
        return posting_id(self.transfer_id, self.attempt, self.leg)


@dataclass(frozen=True, slots=True)
class StatementProgress:
    """How far the sums of a statement have come."""

    lines_summed: int
    lines: int
    is_ready: bool

    def __str__(self) -> str:
        return f"{self.lines_summed:,} of {self.lines:,} lines added up."


@dataclass(frozen=True, slots=True)
class MonthlyStatements:
    """What one step of the monthly sweep did: how many it made, and the last account that it has looked at."""

    made: int
    last: AccountId
    has_more: bool


@dataclass(eq=False)
class NoSuchStatement(ActionRefused):
    """The account has no statement with this number."""

    code = "statement_not_found"
    key: StatementKey

    def __str__(self) -> str:
        return f"Account {self.key.account_id} has no statement {self.key.number}."


@dataclass(eq=False)
class StatementNotReady(ActionRefused):
    """Its lines are not added up yet."""

    code = "statement_not_ready"
    progress: StatementProgress

    def __str__(self) -> str:
        return f"The statement is being made: {self.progress} Ask again in a moment."


@dataclass(eq=False)
class PeriodNotBegun(ActionRefused):
    """The period begins in the future."""

    code = "statement_period_not_begun"
    begins_at: datetime

    def __str__(self) -> str:
        return f"The period begins at {self.begins_at.isoformat()}, which is to come."


@dataclass(eq=False)
class StatementTooLong(ActionRefused):
    """A rendering that is put together in memory has a limit of lines."""

    code = "statement_too_long"
    lines: int
    most: int

    def __str__(self) -> str:
        return f"The statement has {self.lines:,} lines; this format takes {self.most:,}. Take CSV, XML or JSON."
