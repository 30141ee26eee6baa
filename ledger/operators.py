"""Operators: who may do what, and what an action on an account or a role decides. Pure: no I/O, no clock.

An action and its record commit together or not at all; `ledger/postgres/operators.py` writes both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from ledger.accounts import NEXT_STATUS, Account, AccountStatus
from ledger.ids import AccountId, ActionId, CustomerId
from ledger.money import Money


class Role(StrEnum):
    """What a person is to the service. Operators and admins are its staff."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Action(StrEnum):
    """What staff may do. Each is recorded under this name."""

    FREEZE_ACCOUNT = "freeze_account"
    UNFREEZE_ACCOUNT = "unfreeze_account"
    CLOSE_ACCOUNT = "close_account"
    SET_TIER = "set_tier"
    REBUILD_ACCOUNT = "rebuild_account"
    GRANT_ROLE = "grant_role"
    RUN_AUDIT = "run_audit"
    DECIDE_REVIEW = "decide_review"
    CANCEL_TRANSFER = "cancel_transfer"
    RETRY_TRANSFER = "retry_transfer"
    RETRY_STEP = "retry_step"
    GIVE_BACK = "give_back"
    REVERSE_TRANSFER = "reverse_transfer"
    DECIDE_DISPUTE = "decide_dispute"


class Channel(StrEnum):
    """Where somebody acted: signed in at the API, or with access to Temporal's Web UI or CLI."""

    API = "api"
    TEMPORAL = "temporal"


STAFF = frozenset({Role.OPERATOR, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})

ALLOWED: Mapping[Action, frozenset[Role]] = {
    Action.FREEZE_ACCOUNT: STAFF,
    Action.UNFREEZE_ACCOUNT: STAFF,
    Action.CLOSE_ACCOUNT: _ADMINS,
    Action.SET_TIER: _ADMINS,
    Action.REBUILD_ACCOUNT: _ADMINS,
    Action.GRANT_ROLE: _ADMINS,
    Action.RUN_AUDIT: _ADMINS,
    Action.DECIDE_REVIEW: STAFF,
    Action.CANCEL_TRANSFER: STAFF,
    Action.RETRY_TRANSFER: STAFF,
    Action.RETRY_STEP: STAFF,
    Action.GIVE_BACK: STAFF,
    Action.REVERSE_TRANSFER: _ADMINS,
    Action.DECIDE_DISPUTE: STAFF,
}
assert ALLOWED.keys() == set(Action)

# What an action leaves an account as.
STATUS_AFTER: Mapping[Action, AccountStatus] = {
    Action.FREEZE_ACCOUNT: AccountStatus.FROZEN,
    Action.UNFREEZE_ACCOUNT: AccountStatus.ACTIVE,
    Action.CLOSE_ACCOUNT: AccountStatus.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and the role that gives them the right to."""

    id: CustomerId
    role: Role


@dataclass(frozen=True, slots=True)
class Intention:
    """What one of the staff is about to ask of a transfer: recorded before it is sent.

    `request` names the request that it is made for: the same one again is the same intention, until it is refused.
    `key` is what the client named it by instead, and then all else must be the same. Neither: every time is a new one.
    `asked` is what exactly is asked, and `before` how the transfer stood.
    """

    actor: Actor
    action: Action
    subject: str
    reason: str
    before: Mapping[str, Any]
    asked: Mapping[str, Any] | None = None
    request: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What came of an intention: taken, or refused with a `code`. `answer` is what the actor was told."""

    answer: str
    code: str | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Intended:
    """A recorded intention, and what came of it; `taken` None: not known, or not taken yet.

    `before` is how the transfer stood when it was recorded, which may have been an earlier request.
    """

    action_id: ActionId
    before: Mapping[str, Any]
    taken: Conclusion | None = None


class ActionRefused(Exception):
    """An action that is not possible, or not this person's. Nothing changed, and nothing is recorded."""

    code: ClassVar[str]


# `eq=False` and not frozen: an exception must keep its identity and take its traceback.
@dataclass(eq=False)
class NotAllowed(ActionRefused):
    """The actor's role does not include the action."""

    code = "forbidden"
    actor: Actor
    action: Action

    def __str__(self) -> str:
        return f"The role {self.actor.role} does not include {self.action}."


@dataclass(eq=False)
class ConflictOfInterest(ActionRefused):
    """The actor would act on themselves or on an account of their own."""

    code = "conflict_of_interest"
    action: Action

    def __str__(self) -> str:
        return f"This concerns yourself: somebody else has to decide on {self.action}."


@dataclass(eq=False)
class RequestReused(ActionRefused):
    """The same person used this Idempotency-Key for something else."""

    code = "idempotency_key_reused"

    def __str__(self) -> str:
        return "You used this Idempotency-Key for another action, or with another reason."


@dataclass(eq=False)
class NotStaff(ActionRefused):
    """Somebody was named who is no operator or admin, or nobody."""

    code = "not_staff"
    named: str

    def __str__(self) -> str:
        return f"{self.named} is no operator or admin: give your id (cus_…), or the address you sign in with."


@dataclass(eq=False)
class DecidedAlready(ActionRefused):
    """The first word of each reviewer counts, whatever name and way it came by."""

    code = "decided_already"
    decider: CustomerId

    def __str__(self) -> str:
        return f"{self.decider} has decided about this transfer already."


@dataclass(eq=False)
class NoSuchAccount(ActionRefused):
    """No account has this id."""

    code = "account_not_found"
    account_id: AccountId

    def __str__(self) -> str:
        return f"There is no account {self.account_id}."


@dataclass(eq=False)
class NoSuchCustomer(ActionRefused):
    """No customer has this id."""

    code = "customer_not_found"
    customer_id: CustomerId

    def __str__(self) -> str:
        return f"There is no customer {self.customer_id}."


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


@dataclass(eq=False)
class EntriesBroken(ActionRefused):
    """An account is rebuilt only from entries that are what was written."""

    code = "entries_broken"
    account_id: AccountId
    findings: list[str]

    def __str__(self) -> str:
        found = "; ".join(self.findings)
        return f"The entries of account {self.account_id} are not what was written, so it is left as it is: {found}."


@dataclass(eq=False)
class AuditRunning(ActionRefused):
    """One audit at a time: each reads all of the books."""

    code = "audit_running"

    def __str__(self) -> str:
        return "An audit is running already. Ask again when it has ended."


def check_allowed(actor: Actor, action: Action) -> None:
    """Raises `NotAllowed` unless the actor's role includes the action."""
    if actor.role not in ALLOWED[action]:
        raise NotAllowed(actor, action)


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


def check_grant(actor: Actor, customer_id: CustomerId) -> None:
    """Raises unless this actor may set this customer's role: nobody sets their own, so there is always an admin left.

    `actor.role` must have been read together with the customer's row lock.
    """
    check_allowed(actor, Action.GRANT_ROLE)
    if customer_id == actor.id:
        raise ConflictOfInterest(Action.GRANT_ROLE)
