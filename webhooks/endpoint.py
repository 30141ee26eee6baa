"""Webhook endpoints: where a customer, or the platform, gets events by HTTP. Pure: no I/O, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.ids import CustomerId, EndpointId
from ledger.refusals import ActionRefused
from webhooks.schedule import probe_pause

# What a test is called. It is sent to its endpoint alone, and is in no list of events.
TEST_TYPE = "webhook_endpoint.test"

# The most endpoints of one customer, and of the platform.
MOST_ENDPOINTS = 20

# So many failures in a row, with no success between them, and the endpoint counts as failing.
FAILING_FROM = 5

# An endpoint that has accepted nothing for so long is disabled. Its owner is warned at half of it, and at the end.
DISABLED_AFTER = timedelta(days=5)
WARNED_AFTER = DISABLED_AFTER // 2

# What a disabled endpoint has not got within so many days becomes a dead letter.
HELD_DAYS = 90

# Behind a rotation, webhooks carry the signature of the former secret as well, for so long.
FORMER_SECRET_SIGNS_FOR = timedelta(hours=24)


class EndpointState(StrEnum):
    """`failing` is still tried. `disabled` is not: what falls in meanwhile is held until it is enabled again."""

    ENABLED = "enabled"
    FAILING = "failing"
    DISABLED = "disabled"


class DisabledBy(StrEnum):
    """Why an endpoint is disabled."""

    OWNER = "owner"
    GONE = "gone"  # it answered 410
    FAILURES = "failures"  # for five days


class DeliveryState(StrEnum):
    """`dead`: tried no more. It is a dead letter then, unless it was a test."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An endpoint as it is listed, without its secret. `owner_id` None: the platform's. No `types`: all of them.

    `failing_since` is the first failure behind its last success, and `resting_until` the earliest moment of its next
    try, whatever it is sent.
    """

    id: EndpointId
    owner_id: CustomerId | None
    url: str
    types: list[str]
    state: EndpointState
    disabled_by: DisabledBy | None
    failures: int
    failing_since: datetime | None
    warned_at: datetime | None
    resting_until: datetime | None
    created_at: datetime

    def wants(self, type_: str) -> bool:
        """Whether its filter lets this type of event through."""
        return not self.types or type_ in self.types


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint does: what a delivery changes of its row."""

    state: EndpointState
    disabled_by: DisabledBy | None = None
    failures: int = 0
    failing_since: datetime | None = None
    warned_at: datetime | None = None
    resting_until: datetime | None = None

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "Health":
        """As the row has it."""
        return cls(
            endpoint.state,
            endpoint.disabled_by,
            endpoint.failures,
            endpoint.failing_since,
            endpoint.warned_at,
            endpoint.resting_until,
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt, for the health of its endpoint. `rest` is how long the endpoint asked to be left alone."""

    at: datetime
    accepted: bool
    gone: bool = False
    rest: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """What one step of an endpoint's workflow came to.

    `wait_milliseconds` None: nothing is known to come. `more`: go on at once. `deleted`: nothing ever comes again.
    """

    state: EndpointState
    delivered: int = 0
    failed: int = 0
    wait_milliseconds: int | None = None
    more: bool = False
    deleted: bool = False
    waits_for: str = ""


def waits_for(health: Health, *, owner_is_disabled: bool = False) -> str:
    """What an endpoint waits for, in words for operators."""
    if owner_is_disabled:
        return "Its owner is disabled. Its events are held until staff enable them."
    if health.state is EndpointState.DISABLED:
        why = {
            DisabledBy.OWNER: "its owner disabled it",
            DisabledBy.GONE: "it answered 410 Gone",
            DisabledBy.FAILURES: f"it accepted nothing for {DISABLED_AFTER.days} days",
        }[health.disabled_by or DisabledBy.OWNER]
        return f"Disabled: {why}. Its events are held until its owner enables it."
    if health.failing_since is None:
        return "Waits for events."
    since = f"{health.failing_since:%Y-%m-%d %H:%M} UTC"
    if health.state is EndpointState.ENABLED:
        return f"{health.failures} failures in a row since {since}. The events of the accounts concerned are held."
    until = f"{health.failing_since + DISABLED_AFTER:%Y-%m-%d %H:%M} UTC"
    return (
        f"Failing since {since}: tried with one event at a time, all others are held. Disabled on {until} unless it "
        "accepts one."
    )


def health_after(before: Health, tried: Sequence[Tried]) -> Health:
    """The health behind these attempts, in the order in which they ended.

    A disabled endpoint stays so: only its owner enables it.
    """
    health = before
    for one in tried:
        health = _after(health, one)
    return health


def _after(health: Health, tried: Tried) -> Health:
    if health.state is EndpointState.DISABLED:
        return health
    if tried.accepted:
        return Health(EndpointState.ENABLED)
    failures, since = health.failures + 1, health.failing_since or tried.at
    if tried.gone:
        return Health(EndpointState.DISABLED, DisabledBy.GONE, failures, since, health.warned_at)
    state = EndpointState.FAILING if failures >= FAILING_FROM else health.state
    rest = probe_pause(failures - FAILING_FROM) if state is EndpointState.FAILING else None
    if tried.rest is not None:
        rest = max(tried.rest, rest or tried.rest)
    until = tried.at + rest if rest is not None else None
    if until is not None and health.resting_until is not None:
        until = max(until, health.resting_until)
    return overdue(Health(state, None, failures, since, health.warned_at, until or health.resting_until), tried.at)


def overdue(health: Health, now: datetime) -> Health:
    """The health behind a failure at this moment: warned at half of five days of failures, disabled at their end.

    Only a failure judges: an endpoint that nothing was sent to meanwhile may have been mended long ago.
    """
    if health.state is EndpointState.DISABLED or health.failing_since is None or health.failures < FAILING_FROM:
        return health
    failing_for = now - health.failing_since
    if failing_for >= DISABLED_AFTER:
        return Health(
            EndpointState.DISABLED, DisabledBy.FAILURES, health.failures, health.failing_since, health.warned_at or now
        )
    if failing_for >= WARNED_AFTER and health.warned_at is None:
        return Health(EndpointState.FAILING, None, health.failures, health.failing_since, now, health.resting_until)
    return health


def warning(endpoint_id: EndpointId, url: str) -> str:
    """What the owner reads at half of the time."""
    gone, left = (each // timedelta(hours=1) for each in (WARNED_AFTER, DISABLED_AFTER - WARNED_AFTER))
    return (
        f"Your webhook endpoint {endpoint_id} ({url}) has accepted nothing for {gone} hours. It will be disabled in "
        f"{left} hours. No event is lost: they are held."
    )


def farewell(endpoint_id: EndpointId, url: str, by: DisabledBy) -> str:
    """What the owner reads at the end."""
    why = "it answered 410 Gone" if by is DisabledBy.GONE else f"it has accepted nothing for {DISABLED_AFTER.days} days"
    return (
        f"Your webhook endpoint {endpoint_id} ({url}) was disabled, because {why}. Its events are held for "
        f"{HELD_DAYS} days: enable it before, and it gets all of them."
    )


def given_up(endpoint_id: EndpointId, url: str) -> str:
    """What the owner reads once events are no longer held."""
    return (
        f"Events that were held for your webhook endpoint {endpoint_id} ({url}) for {HELD_DAYS} days will not be sent "
        "to it any more. Ask support if you need them. Enable the endpoint, and it gets all that came later."
    )


def whereabouts(endpoint_id: EndpointId, host: str) -> str:
    """What the owner reads when an endpoint is made, and when it has another URL."""
    return (
        f"Your webhook endpoint {endpoint_id} sends what happens to your accounts to {host} from now on. If that was "
        "not you, delete it and change your password."
    )


@dataclass(eq=False)
class NoSuchEndpoint(ActionRefused):
    """No webhook endpoint of theirs has this id."""

    code = "webhook_endpoint_not_found"
    endpoint_id: EndpointId

    def __str__(self) -> str:
        return f"There is no webhook endpoint {self.endpoint_id}."


@dataclass(eq=False)
class TooManyEndpoints(ActionRefused):
    """Each endpoint gets every event that its owner may see, so their number is limited."""

    code = "too_many_webhook_endpoints"

    def __str__(self) -> str:
        return f"There are {MOST_ENDPOINTS} webhook endpoints already: delete one that is not needed."


@dataclass(eq=False)
class EndpointDisabled(ActionRefused):
    """Nothing is sent to a disabled endpoint."""

    code = "webhook_endpoint_disabled"
    endpoint_id: EndpointId

    def __str__(self) -> str:
        return f"Webhook endpoint {self.endpoint_id} is disabled: enable it first."


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One attempt: the status that came back with the first bytes of its body, or the error that came instead."""

    event_id: str
    number: int
    attempted_at: datetime
    milliseconds: int
    status: int | None
    error: str | None
    response: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for one endpoint, and how far it has come."""

    endpoint_id: EndpointId
    event_id: str
    type: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    ended_at: datetime | None
    next_attempt_at: datetime | None
    tries: tuple[DeliveryAttempt, ...] = ()
