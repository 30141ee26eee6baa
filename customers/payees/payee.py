"""What a payer may learn of a payee before paying. Pure: no I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.account_numbers import AccountNumber
from ledger.ids import CustomerId

# Checks are counted in windows of this length, for each customer.
CHECK_WINDOW = timedelta(minutes=15)

# Never the true number of letters: "J***" may be Jo or Josephine.
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Payee:
    """The holder of an account number, as strangers see them."""

    number: AccountNumber
    masked_name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Checks:
    """How many payee checks a customer has made since the window began, and the time now."""

    checks: int
    since: datetime
    now: datetime

    def wait(self, most: int) -> timedelta:
        """Until the customer may check again; zero: now."""
        return self.since + CHECK_WINDOW - self.now if self.checks > most else timedelta(0)


@dataclass(frozen=True, slots=True)
class AccountHolder:
    """The holder of an account, as staff see them."""

    number: AccountNumber
    owner_id: CustomerId
    full_name: str

    @property
    def masked_name(self) -> str:
        """As customers see it who have exchanged money with them."""
        return masked(self.full_name)


class NoSuchPayee(Exception):
    """No open account has this number."""


@dataclass(eq=False)
class TooManyChecks(Exception):
    """The customer has checked as many numbers as they may for now."""

    wait: timedelta


def masked(full_name: str) -> str:
    """The first letter of each name: enough to see that one knows the payee, too little to learn who it is."""
    return " ".join(name[0] + _HIDDEN for name in full_name.split())
