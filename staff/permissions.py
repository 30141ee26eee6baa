"""Who may do what: roles, actions and the rules between them. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.ids import SYSTEM_CUSTOMER, CustomerId
from ledger.refusals import ActionRefused


class Role(StrEnum):
    """What a person is to the service. Operators and admins are its staff."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Action(StrEnum):
    """What staff may do. What changes something is recorded under this name."""

    FREEZE_ACCOUNT = "freeze_account"
    UNFREEZE_ACCOUNT = "unfreeze_account"
    CLOSE_ACCOUNT = "close_account"
    SET_TIER = "set_tier"
    DECIDE_TIER_REQUEST = "decide_tier_request"
    REBUILD_ACCOUNT = "rebuild_account"
    REBUILD_PROJECTION = "rebuild_projection"
    VERIFY_EMAIL = "verify_email"
    DISABLE_CUSTOMER = "disable_customer"
    ENABLE_CUSTOMER = "enable_customer"
    REMOVE_SECOND_FACTOR = "remove_second_factor"
    REQUEST_ROLE = "request_role"
    GRANT_ROLE = "grant_role"
    REJECT_ROLE = "reject_role"
    RUN_AUDIT = "run_audit"
    READ_AUTH_EVENTS = "read_auth_events"
    READ_REQUEST_RECORDS = "read_request_records"
    DECIDE_REVIEW = "decide_review"
    CANCEL_TRANSFER = "cancel_transfer"
    RETRY_TRANSFER = "retry_transfer"
    RETRY_STEP = "retry_step"
    GIVE_BACK = "give_back"
    REVERSE_TRANSFER = "reverse_transfer"
    DECIDE_DISPUTE = "decide_dispute"
    HOLD_AMOUNT = "hold_amount"
    RELEASE_AMOUNT = "release_amount"
    FUND_ACCOUNT = "fund_account"
    CLOSE_CASE = "close_case"
    DECIDE_DOCUMENT = "decide_document"
    ADD_TO_LIST = "add_to_list"
    REMOVE_FROM_LIST = "remove_from_list"
    REQUEST_RULES = "request_rules"
    SET_RULES = "set_rules"
    REPLAY_DEAD_LETTERS = "replay_dead_letters"
    DISCARD_DEAD_LETTER = "discard_dead_letter"
    MANAGE_WEBHOOKS = "manage_webhooks"
    RETIRE_SINK = "retire_sink"
    PAUSE_STANDING_ORDER = "pause_standing_order"
    RESUME_STANDING_ORDER = "resume_standing_order"
    CANCEL_STANDING_ORDER = "cancel_standing_order"
    CANCEL_BATCH = "cancel_batch"
    DECIDE_BATCH = "decide_batch"


class Channel(StrEnum):
    """Where somebody acted: signed in at the API, with access to Temporal's Web UI or CLI, or at the database."""

    API = "api"
    TEMPORAL = "temporal"
    CONSOLE = "console"


STAFF = frozenset({Role.OPERATOR, Role.ADMIN})


_ADMINS = frozenset({Role.ADMIN})


ALLOWED: Mapping[Action, frozenset[Role]] = {
    Action.FREEZE_ACCOUNT: STAFF,
    Action.UNFREEZE_ACCOUNT: STAFF,
    Action.CLOSE_ACCOUNT: _ADMINS,
    Action.SET_TIER: _ADMINS,
    Action.DECIDE_TIER_REQUEST: STAFF,
    Action.REBUILD_ACCOUNT: _ADMINS,
    Action.REBUILD_PROJECTION: _ADMINS,
    Action.VERIFY_EMAIL: _ADMINS,
    Action.DISABLE_CUSTOMER: STAFF,
    Action.ENABLE_CUSTOMER: STAFF,
    Action.REMOVE_SECOND_FACTOR: _ADMINS,
    Action.REQUEST_ROLE: _ADMINS,
    Action.GRANT_ROLE: _ADMINS,
    Action.REJECT_ROLE: _ADMINS,
    Action.RUN_AUDIT: _ADMINS,
    Action.READ_AUTH_EVENTS: _ADMINS,
    Action.READ_REQUEST_RECORDS: _ADMINS,
    Action.DECIDE_REVIEW: STAFF,
    Action.CANCEL_TRANSFER: STAFF,
    Action.RETRY_TRANSFER: STAFF,
    Action.RETRY_STEP: STAFF,
    Action.GIVE_BACK: STAFF,
    Action.REVERSE_TRANSFER: _ADMINS,
    Action.DECIDE_DISPUTE: STAFF,
    Action.HOLD_AMOUNT: STAFF,
    Action.RELEASE_AMOUNT: STAFF,
    Action.FUND_ACCOUNT: STAFF,
    Action.CLOSE_CASE: STAFF,
    Action.DECIDE_DOCUMENT: STAFF,
    Action.ADD_TO_LIST: STAFF,
    Action.REMOVE_FROM_LIST: STAFF,
    Action.REQUEST_RULES: _ADMINS,
    Action.SET_RULES: _ADMINS,
    Action.REPLAY_DEAD_LETTERS: STAFF,
    Action.DISCARD_DEAD_LETTER: STAFF,
    Action.MANAGE_WEBHOOKS: _ADMINS,
    Action.RETIRE_SINK: _ADMINS,
    Action.PAUSE_STANDING_ORDER: STAFF,
    Action.RESUME_STANDING_ORDER: STAFF,
    Action.CANCEL_STANDING_ORDER: STAFF,
    Action.CANCEL_BATCH: STAFF,
    Action.DECIDE_BATCH: STAFF,
}


assert ALLOWED.keys() == set(Action)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and the role that gives them the right to."""

    id: CustomerId
    role: Role


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
class NotStaff(ActionRefused):
    """The name belongs to nobody, or to somebody who is no operator or admin."""

    code = "not_staff"
    named: str

    def __str__(self) -> str:
        return f"{self.named} is no operator or admin: give your id (cus_…), or the address you sign in with."


@dataclass(eq=False)
class NoSuchCustomer(ActionRefused):
    """No customer has this id."""

    code = "customer_not_found"
    customer_id: CustomerId

    def __str__(self) -> str:
        return f"There is no customer {self.customer_id}."


def check_allowed(actor: Actor, action: Action) -> None:
    """Raises `NotAllowed` unless the actor's role includes the action."""
    if actor.role not in ALLOWED[action]:
        raise NotAllowed(actor, action)


@dataclass(eq=False)
class RoleTooYoung(ActionRefused):
    """Two people are needed, and this one has had their role for too short a time to be one of them."""

    code = "role_too_young"
    counts_from: datetime

    def __str__(self) -> str:
        return (
            f"This needs two people. You count as one of them from {self.counts_from:%Y-%m-%d %H:%M} UTC on, "
            "because your role is new."
        )


@dataclass(eq=False)
class EmailNotVerified(ActionRefused):
    """A role of staff is given only to somebody whose address is verified."""

    code = "email_not_verified"
    customer_id: CustomerId

    def __str__(self) -> str:
        return f"The e-mail address of {self.customer_id} is not verified: nobody knows yet whom it reaches."


@dataclass(eq=False)
class AddressVouchedFor(ActionRefused):
    """Who issued the code for an address says whom it reaches, and is not one of the two who give a role as well."""

    code = "address_vouched_for"
    customer_id: CustomerId

    def __str__(self) -> str:
        return f"You issued a code for the address of {self.customer_id}: two other admins give the role."


def check_grant(actor: Actor, customer_id: CustomerId) -> None:
    """Raises unless this actor may set this customer's role: nobody sets their own, so there is always an admin left.

    `actor.role` must have been read together with the customer's row lock.
    """
    check_allowed(actor, Action.GRANT_ROLE)
    if customer_id == SYSTEM_CUSTOMER:
        raise NoSuchCustomer(customer_id)  # it has a row, which never changes, and is nobody
    if customer_id == actor.id:
        raise ConflictOfInterest(Action.GRANT_ROLE)


def check_access(actor: Actor, action: Action, customer_id: CustomerId, role: Role) -> None:
    """Raises unless this actor may disable or enable this customer: operators no staff, and nobody themselves.

    Both roles must have been read together with the rows' locks.
    """
    check_allowed(actor, action)
    if customer_id == actor.id:
        raise ConflictOfInterest(action)
    if role in STAFF and actor.role is not Role.ADMIN:
        raise NotAllowed(actor, action)


def gives_more(before: Role, after: Role) -> bool:
    """Whether a change of role gives rights, and so needs two people. One person may take rights away."""
    return after in STAFF and before is not after and before is not Role.ADMIN


def check_counts(role_since: datetime, four_eyes_after: timedelta, now: datetime) -> None:
    """Raises `RoleTooYoung` for somebody who is no second pair of eyes yet: who made them may act through them."""
    if now < role_since + four_eyes_after:
        raise RoleTooYoung(role_since + four_eyes_after)
