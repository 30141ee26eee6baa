"""Webhook endpoints, deliveries and attempts as requests and answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from api.http.fields import In, Text
from api.ownership.owned import Owned, OwnedPage
from events.event import EventType
from ledger.ids import CustomerId, EndpointId
from webhooks.addresses import MOST_URL_CHARACTERS
from webhooks.endpoint import Delivery, DeliveryAttempt, DeliveryState, DisabledBy, EndpointState, WebhookEndpoint

_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - an example

EndpointUrl = Annotated[str, Text, Field(max_length=MOST_URL_CHARACTERS, examples=["https://shop.example.com/remit"])]
WantedTypes = Annotated[
    list[EventType],
    Field(max_length=len(EventType), description="Only these; none: all", examples=[["transfer.completed"]]),
]

# Staff who manage the platform's endpoints may say why, for the record.
ActReason = Annotated[str, Text, Field(max_length=500, description="Why, for the record")]
NO_REASON = "No reason was given."


class EndpointIn(In):
    """Where events go. HTTPS, and a public address: see `REMIT_WEBHOOK_ALLOW` for others."""

    url: EndpointUrl
    types: WantedTypes = Field(default_factory=list)


class PlatformEndpointIn(EndpointIn):
    """An endpoint of the platform gets the events of all customers, with all that staff may see."""

    reason: ActReason = NO_REASON


class EndpointChangeIn(In):
    """What is to be changed. An endpoint that is enabled gets all that was held."""

    url: EndpointUrl | None = None
    types: WantedTypes | None = None
    state: Literal["enabled", "disabled"] | None = None


class PlatformEndpointChangeIn(EndpointChangeIn):
    reason: ActReason = NO_REASON


class EventReplayIn(In):
    """Since when: a moment with its offset from UTC."""

    since: AwareDatetime


class PlatformReplayIn(EventReplayIn):
    reason: ActReason = NO_REASON


class EndpointOut(Owned):
    """An endpoint without its secret.

    `failing` is still tried; `disabled` is not, and what falls in meanwhile is held.
    """

    not_found = "webhook_endpoint_not_found"

    id: EndpointId
    owner_id: CustomerId | None = Field(description="Null: the platform's")
    url: str
    types: list[str]
    state: EndpointState
    disabled_by: DisabledBy | None = Field(description="`gone`: it answered 410; `failures`: for five days")
    failing_since: datetime | None = Field(description="The first failure since it accepted something")
    created_at: datetime

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "EndpointOut":
        return cls.model_validate(endpoint, from_attributes=True).owned_by(endpoint.owner_id)


class EndpointSecretOut(EndpointOut):
    secret: str | None = Field(
        description="Shown now and never again, and so null in the answer to a repeat: rotate it if it was lost",
        examples=[_SECRET],
    )

    @classmethod
    def with_secret(cls, endpoint: WebhookEndpoint, secret: str) -> "EndpointSecretOut":
        return cls(**EndpointOut.of(endpoint).model_dump(), secret=secret).owned_by(endpoint.owner_id)

    @classmethod
    def without(cls, endpoint: WebhookEndpoint) -> "EndpointSecretOut":
        """What a repeat gets: the secret is kept encrypted, and nowhere else."""
        return cls(**EndpointOut.of(endpoint).model_dump(), secret=None).owned_by(endpoint.owner_id)


class EndpointsOut(OwnedPage):
    """A page of endpoints, newest first."""

    items: list[EndpointOut]
    next_cursor: str | None


class WebhookAttemptOut(Owned):
    """One attempt. `status` is null where no answer came, and `error` says why then."""

    number: int
    attempted_at: datetime
    milliseconds: int
    status: int | None = Field(examples=[500])
    error: str | None
    response: str | None = Field(description="The first 1,024 bytes of the answer's body")

    @classmethod
    def of(cls, tried: DeliveryAttempt) -> "WebhookAttemptOut":
        return cls.model_validate(tried, from_attributes=True)


class DeliveryOut(Owned):
    """An event for this endpoint. `dead`: no further attempt is made, unless it is sent again."""

    not_found = "webhook_endpoint_not_found"

    event_id: str
    type: str
    state: DeliveryState
    created_at: datetime
    ended_at: datetime | None
    next_attempt_at: datetime | None = Field(description="Of the first event of the same account that is pending")
    attempts: list[WebhookAttemptOut]

    @classmethod
    def of(cls, delivery: Delivery, owner_id: CustomerId | None) -> "DeliveryOut":
        return cls(
            event_id=delivery.event_id,
            type=delivery.type,
            state=delivery.state,
            created_at=delivery.created_at,
            ended_at=delivery.ended_at,
            next_attempt_at=delivery.next_attempt_at,
            attempts=[WebhookAttemptOut.of(tried) for tried in delivery.tries],
        ).owned_by(owner_id)


class DeliveriesOut(OwnedPage):
    """A page of deliveries, newest first."""

    items: list[DeliveryOut]
    next_cursor: str | None
