"""The rules that come with Remit. Each is a frozen dataclass: its fields are what a configuration may set.

No rule looks at a reversal: it brings back what was screened on its way out. Declining it would keep the money where it
should not be, and a review would hold up a payee who gives back of their own will. Fundings have a rule of their own,
which no configuration replaces.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ledger.ids import SYSTEM_ACCOUNTS
from ledger.money import Money, major_to_minor, scaled_to_minor
from ledger.transfers import Kind, TransferOrder
from screening.facts import (
    MONTH_SECONDS,
    MOST_MOVEMENTS,
    AvailableBalance,
    Facts,
    MovementsWithin,
    Need,
    PaidBefore,
    Party,
    ReceivedWithin,
)
from screening.member_lists import LIST_NAME
from screening.rules import Finding, ScreeningAnswer

Kinds = tuple[Kind, ...]

# One movement is no velocity.
LEAST_MOVEMENTS = 2

ALL_KINDS: Kinds = (Kind.TRANSFER, Kind.DEPOSIT, Kind.WITHDRAWAL)


def _check_kinds(kinds: Kinds) -> None:
    if not kinds:
        raise ValueError("kinds: name at least one")
    if Kind.REVERSAL in kinds:
        raise ValueError("kinds: a reversal is not screened: it brings back what was screened on its way out")
    if Kind.FUNDING in kinds:
        raise ValueError("kinds: a funding has a rule of its own, REMIT_FUNDING_FOUR_EYES_FROM_MAJOR")


def _check_seconds(seconds: int) -> None:
    if seconds > MONTH_SECONDS:
        raise ValueError(f"within_seconds: at most {MONTH_SECONDS}, which are 31 days")


@dataclass(frozen=True, slots=True)
class AmountThreshold:
    """Gives its answer to an amount from `from_major` major units of its currency on, the threshold included.

    `scaled`: the amount is one in US dollars, and other currencies count by the table of scales.
    """

    from_major: int
    answer: ScreeningAnswer = ScreeningAnswer.DECLINE
    scaled: bool = False
    kinds: Kinds = ALL_KINDS
    name: str = ""

    def __post_init__(self) -> None:
        _check_kinds(self.kinds)
        if not self.name:
            object.__setattr__(self, "name", f"amount_{self.answer.label}")

    def needs(self, order: TransferOrder) -> Collection[Need]:  # noqa: ARG002 - as every rule
        """None: the order has its amount."""
        return ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:  # noqa: ARG002 - as every rule
        """The answer from the threshold on; below it, nothing."""
        least = in_minor(self.from_major, order.currency, scaled=self.scaled)
        if order.kind not in self.kinds or order.amount_minor < least:
            return None
        reason = f"The amount of {order.amount} reaches {Money(least, order.currency)}."
        return Finding(self.answer, self.name, reason)


@dataclass(frozen=True, slots=True)
class Velocity:
    """Gives its answer to the transfer that makes `count` of them, or `sum_major` together, within `within_seconds`.

    It counts what leaves one account, this transfer included. Both may be set: either is enough.
    """

    within_seconds: int
    count: int | None = None
    sum_major: int | None = None
    scaled: bool = False
    kinds: Kinds = (Kind.TRANSFER, Kind.WITHDRAWAL)
    answer: ScreeningAnswer = ScreeningAnswer.FLAG
    name: str = "velocity"

    def __post_init__(self) -> None:
        _check_kinds(self.kinds)
        _check_seconds(self.within_seconds)
        if Kind.DEPOSIT in self.kinds:
            raise ValueError("kinds: velocity counts what leaves an account, and a deposit leaves none")
        if self.count is None and self.sum_major is None:
            raise ValueError("count or sum_major: set one of them, or both")
        if self.count is not None and not LEAST_MOVEMENTS <= self.count <= MOST_MOVEMENTS:
            raise ValueError(f"count: from {LEAST_MOVEMENTS} to {MOST_MOVEMENTS}")

    @property
    def _need(self) -> MovementsWithin:
        return MovementsWithin(self.kinds, self.within_seconds)

    def needs(self, order: TransferOrder) -> Collection[Need]:
        """What left the account, for the kinds that count."""
        return (self._need,) if order.kind in self.kinds else ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        """The answer once either limit is reached."""
        if order.kind not in self.kinds:
            return None
        found = facts.movements(self._need)
        together = Money(found.sum_minor, order.currency)
        most = in_minor(self.sum_major, order.currency, scaled=self.scaled) if self.sum_major is not None else None
        if (self.count is not None and found.count >= self.count) or (most is not None and found.sum_minor >= most):
            reason = f"{found.count} of {_named(self.kinds)} within {self.within_seconds} s, {together} together."
            return Finding(self.answer, self.name, reason)
        return None


@dataclass(frozen=True, slots=True)
class NewPayee:
    """Gives its answer to the first transfer from one account to another, from `from_major` on."""

    from_major: int
    scaled: bool = False
    answer: ScreeningAnswer = ScreeningAnswer.REVIEW
    name: str = "new_payee"

    def _concerns(self, order: TransferOrder) -> bool:
        least = in_minor(self.from_major, order.currency, scaled=self.scaled)
        return order.kind is Kind.TRANSFER and order.amount_minor >= least

    def needs(self, order: TransferOrder) -> Collection[Need]:
        """Whether the payee is known, for amounts that are large enough to ask."""
        return (PaidBefore(),) if self._concerns(order) else ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        """The answer where the payee was never paid before."""
        if not self._concerns(order) or facts.paid_before():
            return None
        return Finding(self.answer, self.name, f"The first transfer to {order.destination_account_id}: {order.amount}.")


@dataclass(frozen=True, slots=True)
class DrainedBalance:
    """Gives its answer to what takes `percent` of a balance or more within `within_seconds` after money came in.

    Only what came in by these `kinds` counts, and only from `from_major` on.
    """

    from_major: int
    within_seconds: int
    percent: int = 90
    scaled: bool = False
    kinds: Kinds = (Kind.DEPOSIT,)
    answer: ScreeningAnswer = ScreeningAnswer.FLAG
    name: str = "drained_balance"

    def __post_init__(self) -> None:
        _check_kinds(self.kinds)
        _check_seconds(self.within_seconds)
        if Kind.WITHDRAWAL in self.kinds:
            raise ValueError("kinds: these bring money in, and a withdrawal brings none")
        if self.percent > 100:  # noqa: PLR2004 - a percentage
            raise ValueError("percent: at most 100")

    @property
    def _need(self) -> ReceivedWithin:
        return ReceivedWithin(self.kinds, self.within_seconds)

    def _concerns(self, order: TransferOrder) -> bool:
        # Whoever takes less than this share of the least amount does not drain what it came to.
        least = in_minor(self.from_major, order.currency, scaled=self.scaled)
        return order.kind in (Kind.TRANSFER, Kind.WITHDRAWAL) and order.amount_minor * 100 >= least * self.percent

    def needs(self, order: TransferOrder) -> Collection[Need]:
        """What came in, and the balance, for amounts that may drain it."""
        return (self._need, AvailableBalance()) if self._concerns(order) else ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        """The answer where so much of the balance leaves so soon."""
        if not self._concerns(order):
            return None
        received, available = facts.movements(self._need).sum_minor, facts.available_minor()
        least = in_minor(self.from_major, order.currency, scaled=self.scaled)
        if received < least or order.amount_minor * 100 < available * self.percent:
            return None
        came = Money(received, order.currency)
        reason = f"{order.amount} leaves within {self.within_seconds} s after {came} came in."
        return Finding(self.answer, self.name, reason)


@dataclass(frozen=True, slots=True)
class FundingThreshold:
    """Sends fundings from `from_major` major units of their currency on to review: two people are needed for them.

    It is asked beside every rule set.
    """

    from_major: int
    name: str = "funding_four_eyes"

    def needs(self, order: TransferOrder) -> Collection[Need]:  # noqa: ARG002 - as every rule
        """None: the order has its amount."""
        return ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:  # noqa: ARG002 - as every rule
        """Review from the threshold on; who asked for the funding cannot approve it."""
        least = major_to_minor(self.from_major, order.currency)
        if order.kind is not Kind.FUNDING or order.amount_minor < least:
            return None
        reason = f"A funding of {Money(least, order.currency)} or more needs two people."
        return Finding(ScreeningAnswer.REVIEW, self.name, reason)


@dataclass(frozen=True, slots=True)
class Listed:
    """Gives its answer where the payer's or the payee's account is on a list that staff keep."""

    list: str
    party: Party
    answer: ScreeningAnswer = ScreeningAnswer.DECLINE
    kinds: Kinds = ALL_KINDS
    name: str = ""

    def __post_init__(self) -> None:
        _check_kinds(self.kinds)
        if not LIST_NAME.fullmatch(self.list):
            raise ValueError("list: use up to 40 small letters, digits and underscores, the first a letter")
        if not self.name:
            object.__setattr__(self, "name", f"listed_{self.party}")

    def needs(self, order: TransferOrder) -> Collection[Need]:  # noqa: ARG002 - as every rule
        """None: lists are at hand."""
        return ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        """The answer for a listed account. The world is on no list."""
        account_id = order.source_account_id if self.party == "payer" else order.destination_account_id
        if order.kind not in self.kinds or account_id in SYSTEM_ACCOUNTS or self.list not in facts.lists_of(self.party):
            return None
        return Finding(self.answer, self.name, f"The {self.party}'s account is on the list `{self.list}`.", account_id)


# The kinds of rules that a configuration may name. Others come from installed packages.
STANDARD_RULES: Mapping[str, type] = {
    "amount": AmountThreshold,
    "velocity": Velocity,
    "new_payee": NewPayee,
    "drained_balance": DrainedBalance,
    "listed": Listed,
}


def in_minor(major: int, currency: str, *, scaled: bool) -> int:
    """An amount in major units, of the currency itself or by the table of scales, in its minor unit."""
    return scaled_to_minor(major, currency) if scaled else major_to_minor(major, currency)


def _named(kinds: Kinds) -> str:
    return " and ".join(f"{kind}s" for kind in kinds)
