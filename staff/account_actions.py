"""What staff may do to an account, and what refuses it. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.accounts import NEXT_STATUS, Account, AccountStatus
from ledger.ids import AccountId
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
    """An account is closed only when no transfer may still bring money to it."""

    code = "account_in_transit"
    account_id: AccountId
    transfers: int

    def __str__(self) -> str:
        number = "1 transfer is" if self.transfers == 1 else f"{self.transfers} transfers are"
        return f"{number} in transit from or to account {self.account_id}; it can be closed once they have ended."


def check_account_action(actor: Actor, action: Action, account: Account) -> None:
    """Raises unless this actor may do this to this account: nobody acts on an account of their own."""
    check_allowed(actor, action)
    if account.owner_id == actor.id:
        raise ConflictOfInterest(action)


def check_status_change(account: Account, wanted: AccountStatus, transfers_in_transit: int) -> None:
    """Raises unless the account may take this status. What it already has it may always keep."""
    if wanted is account.status:
        return
    if wanted not in NEXT_STATUS[account.status]:
        raise ClosedForGood(account.id)
    if wanted is not AccountStatus.CLOSED:
        return
    if account.balance_minor:
        raise HoldsMoney(account.id, Money(account.balance_minor, account.currency))
    if transfers_in_transit:
        raise MoneyInTransit(account.id, transfers_in_transit)
