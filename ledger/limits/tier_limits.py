"""Limits: how much an account may send at once, in a day and in a month, and how much it may hold. Pure: no I/O.

Which limits an account has follows from its tier and currency. What it has sent is counted in its row, by days and
months of UTC: days of one length for everybody, so the same postings give the same counters on every machine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.limits.sent_totals import Spending, midnight_of
from ledger.money import MINOR_UNIT_DIGITS, is_currency, major_to_minor, scaled_to_minor
from ledger.transfers import Kind

# What a customer sends of their own will. A reversal brings back what came from somebody else; a funding is the
# system's.
COUNTED = frozenset({Kind.TRANSFER, Kind.WITHDRAWAL})

# What `highest_balance` refuses, and the cap of the service. What is brought back is never refused for its size.
LIMITED = frozenset({Kind.TRANSFER, Kind.WITHDRAWAL, Kind.DEPOSIT, Kind.FUNDING})

FIRST_TIER, LAST_TIER = 1, 9

# In the settings: the limits of every currency that has none of its own.
EVERY_CURRENCY = "*"


class LimitName(StrEnum):
    """What a limit is called in settings, answers and refusals."""

    ONE_TRANSACTION = "one_transaction"
    DAILY_TOTAL = "daily_total"
    MONTHLY_TOTAL = "monthly_total"
    HIGHEST_BALANCE = "highest_balance"


@dataclass(frozen=True, slots=True)
class TierLimits:
    """The limits of a tier in major units; None: no such limit."""

    one_transaction: int | None = None
    daily_total: int | None = None
    monthly_total: int | None = None
    highest_balance: int | None = None


assert {field.name for field in fields(TierLimits)} == set(LimitName)

# A day's total is what the tier may hold, a month's is ten times that. The tiers from 3 on have no limits.
DEFAULT_TIERS: Mapping[int, TierLimits] = {
    1: TierLimits(50_000, 300_000, 3_000_000, 300_000),
    2: TierLimits(200_000, 1_000_000, 10_000_000, 1_000_000),
    **dict.fromkeys(range(3, LAST_TIER + 1), TierLimits()),
}


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """The limits of accounts of one tier in one currency, in its minor unit; None: no such limit."""

    one_transaction_minor: int | None = None
    daily_total_minor: int | None = None
    monthly_total_minor: int | None = None
    highest_balance_minor: int | None = None


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit of an account, and how much of it is used. `resets_at` None: it is not a sum over time."""

    name: LimitName
    limit_minor: int | None
    used_minor: int
    resets_at: datetime | None = None

    @property
    def left_minor(self) -> int | None:
        """How much more fits; None: anything."""
        return None if self.limit_minor is None else max(0, self.limit_minor - self.used_minor)

    def fits(self, amount_minor: int) -> bool:
        """Whether this amount fits."""
        return self.limit_minor is None or self.used_minor + amount_minor <= self.limit_minor


class LimitTable:
    """The limits of every tier in every currency, and the cap for each transaction of the service."""

    def __init__(
        self,
        changes: Mapping[str, Mapping[str, Mapping[str, int | None]]] | None = None,
        cap_major: int | None = None,
    ) -> None:
        """`changes`: currency, tier, limit, major units. Those under `*`, and `cap_major`, scale as the defaults do.

        Raises `ValueError` for a currency, tier or limit that does not exist, and for one that lets nothing pass.
        """
        changes = changes or {}
        for currency, tiers in changes.items():
            _check(currency, tiers)
        self._limits: dict[tuple[int, str], AccountLimits] = {}
        for tier, default in DEFAULT_TIERS.items():
            scaled = asdict(default) | dict(changes.get(EVERY_CURRENCY, {}).get(str(tier), {}))
            for currency in MINOR_UNIT_DIGITS:
                own = changes.get(currency, {}).get(str(tier), {})
                self._limits[tier, currency] = _limits_of(currency, scaled, own)
        self._caps = {currency: _scaled(cap_major, currency) for currency in MINOR_UNIT_DIGITS}

    def of(self, tier: int, currency: str) -> AccountLimits:
        """The limits of an account, without the cap."""
        return self._limits[tier, currency]

    def cap_minor(self, currency: str) -> int | None:
        """The most that any one transaction moves; None: there is no cap."""
        return self._caps[currency]

    def exceeded(
        self, tier: int, currency: str, spending: Spending, amount_minor: int, now: datetime
    ) -> LimitUse | None:
        """The first limit that a debit of this amount exceeds; None: it fits all of them, which is soon found out."""
        limits, cap = self._limits[tier, currency], self._caps[currency]
        one, daily, monthly = limits.one_transaction_minor, limits.daily_total_minor, limits.monthly_total_minor
        if (cap is None or amount_minor <= cap) and (one is None or amount_minor <= one):
            if daily is None and monthly is None:
                return None
            today = spending.at(now)
            if (daily is None or today.day_minor + amount_minor <= daily) and (
                monthly is None or today.month_minor + amount_minor <= monthly
            ):
                return None
        uses = self.sending(tier, currency, spending, now)
        return next(use for use in uses if not use.fits(amount_minor))

    def sending(self, tier: int, currency: str, spending: Spending, now: datetime) -> Iterator[LimitUse]:
        """What limits a debit, in the order in which a refusal names them."""
        limits = self._limits[tier, currency]
        today = spending.at(now)
        assert today.day is not None, "it is some day now"
        one = min((most for most in (limits.one_transaction_minor, self._caps[currency]) if most), default=None)
        yield LimitUse(LimitName.ONE_TRANSACTION, one, 0)
        next_day = midnight_of(today.day + timedelta(days=1))
        yield LimitUse(LimitName.DAILY_TOTAL, limits.daily_total_minor, today.day_minor, next_day)
        next_month = midnight_of((today.day.replace(day=1) + timedelta(days=32)).replace(day=1))
        yield LimitUse(LimitName.MONTHLY_TOTAL, limits.monthly_total_minor, today.month_minor, next_month)

    def holding(self, tier: int, currency: str, balance_minor: int) -> LimitUse:
        """What limits a credit."""
        return LimitUse(LimitName.HIGHEST_BALANCE, self._limits[tier, currency].highest_balance_minor, balance_minor)


def _check(currency: str, tiers: Mapping[str, Mapping[str, int | None]]) -> None:
    if currency != EVERY_CURRENCY and not is_currency(currency):
        raise ValueError(f"{currency!r} is no currency: give an ISO 4217 code, or {EVERY_CURRENCY!r} for all")
    for tier, limits in tiers.items():
        if tier not in map(str, DEFAULT_TIERS):
            raise ValueError(f"there is no tier {tier!r}: tiers are {FIRST_TIER} … {LAST_TIER}")
        for name, major in limits.items():
            if name not in set(LimitName):
                raise ValueError(f"there is no limit {name!r}: limits are {', '.join(LimitName)}")
            if major is not None and major < 1:
                raise ValueError(f"the {name} of tier {tier} must be at least 1, or null for none")


def _limits_of(currency: str, scaled: Mapping[str, int | None], own: Mapping[str, int | None]) -> AccountLimits:
    minor = {name: _scaled(major, currency) for name, major in scaled.items()}
    for name, major in own.items():
        minor[name] = None if major is None else major_to_minor(major, currency)
    return AccountLimits(**{f"{name}_minor": limit for name, limit in minor.items()})


def _scaled(major: int | None, currency: str) -> int | None:
    if major is None:
        return None
    return max(1, scaled_to_minor(major, currency))


DEFAULT_LIMITS = LimitTable()
