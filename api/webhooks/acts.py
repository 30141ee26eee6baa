"""What the routes of customers and of staff share: both manage endpoints in the same way, each of their own."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import Response, status

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, Repeats
from api.services import Services
from api.webhooks.models import (
    DeliveriesOut,
    DeliveryOut,
    EndpointChangeIn,
    EndpointIn,
    EndpointOut,
    EndpointSecretOut,
    EndpointsOut,
)
from events.event import EventType
from ledger.ids import CustomerId, EndpointId
from webhooks.addresses import check_url
from webhooks.endpoint import Delivery, WebhookEndpoint
from webhooks.postgres.endpoints import EndpointChanges, StaffReason

BODY = ("invalid_json", "body_too_large", "validation_failed")
NOT_FOUND = "webhook_endpoint_not_found"

CREATING = (*BODY, *KEYED, "webhook_url_refused", "too_many_webhook_endpoints", "encryption_key_missing")
CHANGING = (*BODY, "webhook_url_refused", NOT_FOUND)
ROTATING = (*KEYED, "encryption_key_missing", NOT_FOUND)
TESTING = (*KEYED, "webhook_endpoint_disabled", NOT_FOUND)
REPLAYING = (*BODY, *KEYED, NOT_FOUND)
LISTING = ("cursor_invalid", "validation_failed")

responses = problem_responses

PATH = "/v1/webhook-endpoints"
PLATFORM_PATH = "/v1/admin/webhook-endpoints"


async def create(
    remit: Services,
    owner_id: CustomerId | None,
    wanted: EndpointIn,
    answers: Repeats,
    response: Response,
    by: StaffReason | None = None,
) -> EndpointSecretOut:
    """Make an endpoint. The answer that is kept for a repeat holds no secret."""
    check_url(wanted.url, remit.webhook_networks)

    def location(endpoint: WebhookEndpoint) -> str:
        return f"{PATH if owner_id is not None else PLATFORM_PATH}/{endpoint.id}"

    keep = answers.keep(EndpointSecretOut.without, status.HTTP_201_CREATED, location)
    made, secret = await remit.webhook_endpoints.create(owner_id, wanted.url, _names(wanted.types), keep, by)
    response.headers["Location"] = location(made)
    return EndpointSecretOut.with_secret(made, secret)


async def listed(remit: Services, owner_id: CustomerId | None, limit: int, cursor: str | None) -> EndpointsOut:
    """A page of the owner's endpoints."""
    before = remit.cursors.read_place("webhook endpoints", cursor)
    page = await remit.webhook_endpoints.of_owner(owner_id, before, limit)
    return EndpointsOut(
        items=[EndpointOut.of(one) for one in page.items],
        next_cursor=next_cursor(
            page, lambda last: remit.cursors.sign_place("webhook endpoints", last.created_at, last.id)
        ),
    )


async def change(
    remit: Services,
    owner_id: CustomerId | None,
    endpoint_id: EndpointId,
    wanted: EndpointChangeIn,
    by: StaffReason | None = None,
) -> EndpointOut:
    """Change what is given."""
    if wanted.url is not None:
        check_url(wanted.url, remit.webhook_networks)
    changes = EndpointChanges(
        wanted.url,
        _names(wanted.types) if wanted.types is not None else None,
        wanted.state == "enabled" if wanted.state is not None else None,
    )
    return EndpointOut.of(await remit.webhook_endpoints.change(owner_id, endpoint_id, changes, by))


async def rotate_secret(
    remit: Services,
    owner_id: CustomerId | None,
    endpoint_id: EndpointId,
    answers: Repeats,
    by: StaffReason | None = None,
) -> EndpointSecretOut:
    """Make another secret. The answer that is kept for a repeat does not hold it."""
    keep = answers.keep(EndpointSecretOut.without)
    return EndpointSecretOut.with_secret(*await remit.webhook_endpoints.rotate_secret(owner_id, endpoint_id, keep, by))


async def send_test(
    remit: Services,
    owner_id: CustomerId | None,
    endpoint_id: EndpointId,
    answers: Repeats,
    by: StaffReason | None = None,
) -> DeliveryOut:
    """Have a test sent."""

    def shown(delivery: Delivery) -> DeliveryOut:
        return DeliveryOut.of(delivery, owner_id)

    keep = answers.keep(shown, status.HTTP_202_ACCEPTED)
    return shown(await remit.webhook_endpoints.test(owner_id, endpoint_id, keep, by))


async def replay(
    remit: Services,
    owner_id: CustomerId | None,
    endpoint_id: EndpointId,
    since: datetime,
    answers: Repeats,
    by: StaffReason | None = None,
) -> EndpointOut:
    """Have events sent once more."""
    keep = answers.keep(EndpointOut.of, status.HTTP_202_ACCEPTED)
    return EndpointOut.of(await remit.webhook_endpoints.replay(owner_id, endpoint_id, since, keep, by))


async def deliveries(
    remit: Services, owner_id: CustomerId | None, endpoint_id: EndpointId, limit: int, cursor: str | None
) -> DeliveriesOut:
    """A page of what was and is to be sent."""
    of_list = f"deliveries {endpoint_id}"
    before = remit.cursors.read_place(of_list, cursor)
    page = await remit.webhook_endpoints.deliveries(owner_id, endpoint_id, before, limit)
    return DeliveriesOut(
        items=[DeliveryOut.of(one, owner_id) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(of_list, last.created_at, last.event_id)),
    )


def _names(types: Sequence[EventType]) -> list[str]:
    return sorted({each.value for each in types})
