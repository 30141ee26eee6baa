"""What staff may do to an account, and what refuses it. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.accounts import NEXT_STATUS, Account, AccountStatus, Freeze
from ledger.ids import SYSTEM_CUSTOMER, AccountId
from ledger.money import Money
from ledger.refusals import ActionRefused
from staff.permissions import Action, Actor, ConflictOfInterest, check_allowed

# What an action leaves an account as.
STATUS_AFTER: Mapping[Action, AccountStatus] = {
    Action.FREEZE_ACCOUNT: AccountStatus.FROZEN,
    Action.UNFREEZE_ACCOUNT: AccountStatus.ACTIVE,
    Action.CLOSE_ACCOUNT: AccountStatus.CLOSED,
}


@dataclass(eq=False)
class FrozenAlready(ActionRefused):
    """The account is frozen in just this way. Another way is a change, and allowed."""

    code = "account_already_frozen"
    account_id: AccountId
    frozen: Freeze

    def __str__(self) -> str:
        what = "debits and credits" if self.frozen is Freeze.BOTH else str(self.frozen)
        return f"Account {self.account_id} is frozen for {what} already."


@dataclass(eq=False)
class NotFrozen(ActionRefused):
    """Only a frozen account can be unfrozen."""

    code = "account_not_frozen"
    account_id: AccountId

    def __str__(self) -> str:
        return f"Account {self.account_id} is not frozen."


# What staff may do to an account that fundings come from.
OF_THE_SYSTEM = frozenset({Action.FREEZE_ACCOUNT, Action.UNFREEZE_ACCOUNT, Action.REBUILD_ACCOUNT})


@dataclass(eq=False)
class SystemsAccount(ActionRefused):
    """An account of the system can be frozen and rebuilt, and stays as it is otherwise."""

    code = "account_of_system"
    account_id: AccountId

    def __str__(self) -> str:
        return f"Account {self.account_id} is the system's: it can be frozen, unfrozen and rebuilt only."


@dataclass(eq=False)
class NoSuchAccount(ActionRefused):
    """No account has this id."""

    code = "account_not_found"
    account_id: AccountId

    def __str__(self) -> str:
        return f"There is no account {self.account_id}."


@dataclass(eq=False)
class ClosedForGood(ActionRefused):
    """A closed account never opens again."""

    code = "account_closed"
    account_id: AccountId

    def __str__(self) -> str:
        return f"Account {self.account_id} is closed and stays closed."


@dataclass(eq=False)
class HoldsMoney(ActionRefused):
    """An account is closed only when it holds nothing."""

    code = "account_not_empty"
    account_id: AccountId
    balance: Money

    def __str__(self) -> str:
        return f"Account {self.account_id} holds {self.balance}; it can be closed once it holds nothing."


@dataclass(eq=False)
class MoneyInTransit(ActionRefused):
    """An account is closed only when every transfer from or to it has ended."""

    code = "account_in_transit"
    account_id: AccountId
    transfers: int

    def __str__(self) -> str:
        number = "1 transfer" if self.transfers == 1 else f"{self.transfers} transfers"
        have = "has" if self.transfers == 1 else "have"
        return f"{number} from or to account {self.account_id} {have} not ended; it can be closed afterwards."


def check_account_action(actor: Actor, action: Action, account: Account) -> None:
    """Raises unless this actor may do this to this account: nobody acts on an account of their own."""
    check_allowed(actor, action)
    if account.owner_id == actor.id:
        raise ConflictOfInterest(action)
    if account.owner_id == SYSTEM_CUSTOMER and action not in OF_THE_SYSTEM:
        raise SystemsAccount(account.id)


def check_status_change(
    account: Account, wanted: AccountStatus, frozen: Freeze | None, transfers_in_progress: int
) -> None:
    """Raises unless the account may become this, which must be another thing than it is.

    A freeze may become wider, narrower or another one; `frozen` says what it stops.
    """
    if account.status is AccountStatus.CLOSED:
        raise ClosedForGood(account.id)
    if wanted is AccountStatus.FROZEN and frozen is not None and frozen is account.frozen:
        raise FrozenAlready(account.id, frozen)
    if wanted is AccountStatus.ACTIVE and account.status is not AccountStatus.FROZEN:
        raise NotFrozen(account.id)
    assert wanted is account.status or wanted in NEXT_STATUS[account.status]
    if wanted is not AccountStatus.CLOSED:
        return
    if account.balance_minor:
        raise HoldsMoney(account.id, Money(account.balance_minor, account.currency))
    if transfers_in_progress:
        raise MoneyInTransit(account.id, transfers_in_progress)
