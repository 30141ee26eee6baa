"""Rebuilds of accounts from their entries: who requested one, how far it has come, and what it found. Pure: no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.accounts import Account
from ledger.ids import AccountId, ActionId, CustomerId, RebuildId
from ledger.refusals import ActionRefused


class RebuildState(StrEnum):
    """`running` until every account was looked at. Whatever crashes, it goes on from the row."""

    RUNNING = "running"
    COMPLETED = "completed"


class RebuildOutcome(StrEnum):
    """What a rebuild did with an account that was not as its entries require. `left`: nothing; the code says why."""

    REBUILT = "rebuilt"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A row of `rebuilds`, and its record among staff's actions. Without `account_id` it is about all accounts.

    `position` is the last account that it has looked at, in the order of ids. Until the first step has counted them,
    `accounts_total` is None.
    """

    id: RebuildId
    action_id: ActionId
    actor_id: CustomerId
    reason: str
    account_id: AccountId | None
    state: RebuildState
    position: str
    accounts_done: int
    accounts_total: int | None
    created_at: datetime
    completed_at: datetime | None

    @property
    def is_running(self) -> bool:
        """Whether there may be more accounts to look at."""
        return self.state is RebuildState.RUNNING


@dataclass(frozen=True, slots=True)
class RebuildCounts:
    """How many accounts a rebuild has rebuilt, and how many it had to leave as they are."""

    rebuilt: int
    left: int


@dataclass(frozen=True, slots=True)
class RebuildFinding:
    """An account that was not as its entries require: what was changed, or why it was left as it is.

    `before` and `after` have the values that changed; `code` and `detail` are those of the refusal.
    """

    account_id: AccountId
    outcome: RebuildOutcome
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    code: str | None
    detail: str | None
    found_at: datetime


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """What a rebuild's workflow knows of it."""

    state: RebuildState
    accounts_done: int
    accounts_total: int
    rebuilt: int
    left: int

    def __str__(self) -> str:
        return (
            f"{self.accounts_done:,} of {self.accounts_total:,} accounts looked at, {self.rebuilt:,} rebuilt, "
            f"{self.left:,} left as they are."
        )


@dataclass(eq=False)
class NoSuchRebuild(ActionRefused):
    """No rebuild has this id."""

    code = "rebuild_not_found"
    rebuild_id: RebuildId

    def __str__(self) -> str:
        return f"There is no rebuild {self.rebuild_id}."


@dataclass(eq=False)
class EntriesNotRead(ActionRefused):
    """The account has more entries behind its last audit than can be proved in one statement."""

    code = "entries_not_read"
    account_id: AccountId
    seconds: int

    def __str__(self) -> str:
        return (
            f"The entries of account {self.account_id} could not be read within {self.seconds} s. Audit the books, "
            "which reads them in parts; the next rebuild begins where the audit ended."
        )


def differences(before: Account, after: Account) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of an account's row that a rebuild has changed, as they were and as they are."""
    was, now = _rebuilt_values(before), _rebuilt_values(after)
    changed = [name for name in was if was[name] != now[name]]
    return {name: was[name] for name in changed}, {name: now[name] for name in changed}


def _rebuilt_values(account: Account) -> Mapping[str, Any]:
    return {
        "balance": account.balance_minor,
        "version": account.version,
        "head_hash": account.head_hash.hex(),
        "spent_on": account.spent_on and account.spent_on.isoformat(),
        "spent_day": account.spent_day_minor,
        "spent_month": account.spent_month_minor,
    }
