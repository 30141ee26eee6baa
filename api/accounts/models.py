"""Accounts as requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from api.http.fields import AccountName, Amount, Currency, CurrencyCode, In, Metadata, NumberOut, Text, Whole
from api.ownership.owned import Owned, OwnedPage
from api.staff.models import ReasonIn
from ledger.accounts import Account, AccountStatistics, AccountStatus, Freeze
from ledger.ids import AccountId, CaseId, CustomerId, TransferId
from ledger.limits.tier_limits import LimitTable, LimitUse
from ledger.postgres.account_reads import AccountEntry, PastBalance
from ledger.transfers import Leg


class AccountIn(In):
    currency: Currency
    name: AccountName | None = None


class AccountNameIn(In):
    """What the customer calls the account; null removes the name."""

    name: AccountName | None


class CashIn(In):
    """A deposit or a withdrawal. `transaction_id` is the customer's own reference, unique per account."""

    amount: Amount
    currency: Currency
    transaction_id: Annotated[str, Text, Field(max_length=100, examples=["bank-2026-11-0042"])] | None = None
    metadata: Metadata | None = None


class AccountOut(Owned):
    not_found = "account_not_found"

    id: AccountId
    owner_id: CustomerId
    number: NumberOut
    name: str | None = Field(description="What its owner calls it", examples=["Holidays"])
    currency: CurrencyCode
    status: AccountStatus
    frozen: Freeze | None = Field(description="What a freeze stops; null: the account is not frozen")
    tier: int
    balance: int = Field(description="What is posted: held and available together")
    held: int = Field(description="The part of the balance that cannot be spent, because a payment is disputed")
    available: int = Field(description="What may be spent: the balance without what is held", examples=[374_500])
    version: int
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "AccountOut":
        return cls(
            id=account.id,
            owner_id=account.owner_id,
            number=account.number,
            name=account.name,
            currency=account.currency,
            status=account.status,
            frozen=account.frozen,
            tier=account.tier,
            balance=account.balance_minor,
            held=account.held_minor,
            available=account.available_minor,
            version=account.version,
            created_at=account.created_at,
        ).owned_by(account.owner_id)


class BalanceOut(Owned):
    """An account's balance at a moment. `held` and `available` are known for the present only."""

    not_found = "account_not_found"

    account_id: AccountId
    currency: CurrencyCode
    at: datetime
    balance: int = Field(description="Posted until then. An amount in transit has left its source")
    held: int | None
    available: int | None
    version: int = Field(description="How many entries the account had")

    @classmethod
    def of(cls, account: Account, at: datetime) -> "BalanceOut":
        return cls(
            account_id=account.id,
            currency=account.currency,
            at=at,
            balance=account.balance_minor,
            held=account.held_minor,
            available=account.available_minor,
            version=account.version,
        ).owned_by(account.owner_id)

    @classmethod
    def of_past(cls, account: Account, past: PastBalance) -> "BalanceOut":
        return cls(
            account_id=account.id,
            currency=account.currency,
            at=past.at,
            balance=past.balance_minor,
            held=None,
            available=None,
            version=past.version,
        ).owned_by(account.owner_id)


class StatisticsOut(Owned):
    """Totals since the account's first entry, in the currency's minor unit. What came back is taken off again."""

    not_found = "account_not_found"

    account_id: AccountId
    currency: CurrencyCode
    total_deposited: int = Field(examples=[500_000])
    total_withdrawn: int = Field(examples=[0])
    total_transferred_in: int = Field(examples=[0])
    total_transferred_out: int = Field(examples=[125_500])
    deposits: int = Field(examples=[1])
    withdrawals: int = Field(examples=[0])
    transfers_in: int = Field(examples=[0])
    transfers_out: int = Field(examples=[1])
    version: int = Field(description="How many entries were counted", examples=[2])
    last_activity_at: datetime | None = Field(description="When the newest entry was recorded")

    @classmethod
    def of(cls, account: Account, found: AccountStatistics) -> "StatisticsOut":
        return cls(
            account_id=account.id,
            currency=account.currency,
            total_deposited=found.deposited_minor,
            total_withdrawn=found.withdrawn_minor,
            total_transferred_in=found.incoming_minor,
            total_transferred_out=found.outgoing_minor,
            deposits=found.deposits,
            withdrawals=found.withdrawals,
            transfers_in=found.incoming,
            transfers_out=found.outgoing,
            version=found.version,
            last_activity_at=found.last_activity_at,
        ).owned_by(account.owner_id)


class AccountsOut(OwnedPage):
    items: list[AccountOut]


class LimitOut(BaseModel):
    """One limit, in the currency's minor unit. `limit` null: none."""

    limit: int | None = Field(examples=[30_000_000])
    used: int = Field(examples=[125_500])
    left: int | None = Field(description="The most that still fits; null: anything", examples=[29_874_500])
    resets_at: datetime | None = Field(description="When `used` begins again at 0; null: it is no total over time")

    @classmethod
    def of(cls, allowance: LimitUse) -> "LimitOut":
        return cls(
            limit=allowance.limit_minor,
            used=allowance.used_minor,
            left=allowance.left_minor,
            resets_at=allowance.resets_at,
        )


class LimitsOut(Owned):
    """What an account may send and hold now, by its tier. Reversals and refunds are never limited."""

    not_found = "account_not_found"

    account_id: AccountId
    tier: int
    currency: CurrencyCode
    one_transaction: LimitOut
    daily_total: LimitOut
    monthly_total: LimitOut
    highest_balance: LimitOut

    @classmethod
    def of(cls, account: Account, limits: LimitTable, now: datetime) -> "LimitsOut":
        allowances = [
            *limits.sending(account.tier, account.currency, account.spending, now),
            limits.holding(account.tier, account.currency, account.balance_minor),
        ]
        return cls(
            account_id=account.id,
            tier=account.tier,
            currency=account.currency,
            **{each.name.value: LimitOut.of(each) for each in allowances},
        ).owned_by(account.owner_id)


class EntryOut(Owned):
    """One entry of an account's statement. `amount` is negative where money left the account."""

    not_found = "account_not_found"

    transfer_id: TransferId
    leg: Leg
    amount: int
    balance_before: int
    balance_after: int
    version: int
    recorded_at: datetime

    @classmethod
    def of(cls, entry: AccountEntry, account: Account) -> "EntryOut":
        """An entry of this account. That of another account would be nobody's."""
        return cls(
            transfer_id=entry.transfer_id,
            leg=entry.leg,
            amount=entry.amount_minor,
            balance_before=entry.balance_before,
            balance_after=entry.balance_after,
            version=entry.version,
            recorded_at=entry.recorded_at,
        ).owned_by(account.owner_id if entry.account_id == account.id else None)


class EntriesOut(Owned):
    not_found = "account_not_found"

    items: list[EntryOut]
    next_cursor: str | None


MAX_TIER = 9


class FreezeIn(ReasonIn):
    frozen: Freeze = Field(Freeze.BOTH, description="What the account may not do from now on")


class TierIn(ReasonIn):
    tier: Annotated[int, Field(strict=True, ge=1, le=MAX_TIER, examples=[2]), Whole]


class AccountFileOut(AccountOut):
    """An account with the hash of its newest entry, in hexadecimal."""

    head_hash: str

    @classmethod
    def of(cls, account: Account) -> "AccountFileOut":
        return cls(**AccountOut.of(account).model_dump(), head_hash=account.head_hash.hex())


class MarkedAccountOut(AccountFileOut):
    """The same, with the case that marks the account."""

    open_case_id: CaseId | None = Field(description="What screening has flagged and nobody has closed yet")

    @classmethod
    def marked(cls, account: Account, open_case_id: CaseId | None) -> "MarkedAccountOut":
        return cls(**AccountFileOut.of(account).model_dump(), open_case_id=open_case_id)
