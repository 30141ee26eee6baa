"""Webhook endpoints of customers: events of their own accounts, by HTTP."""

from fastapi import APIRouter, Response, status

from api.auth.sessions import EventsSend, WebhooksRead, WebhooksWrite
from api.contract.response_headers import CREATED
from api.http.fields import Cursor, PageSize
from api.http.problems import problem_responses
from api.http.repeats import KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING
from api.webhooks import acts
from api.webhooks.models import (
    DeliveriesOut,
    DeliveryOut,
    EndpointChangeIn,
    EndpointIn,
    EndpointOut,
    EndpointSecretOut,
    EndpointsOut,
    EventReplayIn,
)
from ledger.ids import EndpointId

router = APIRouter(prefix=acts.PATH, tags=["webhooks"], route_class=CheckedRoute)

_READING = (*(code for code in READING if code not in ("forbidden", "second_factor_missing")), "scope_missing")


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="webhooks.create",
    summary="Make a webhook endpoint",
    responses=CREATED | problem_responses(*_READING, *acts.CREATING),
)
async def create(
    wanted: EndpointIn, session: EventsSend, remit: Remit, answers: KeptAnswers, response: Response
) -> EndpointSecretOut:
    """It gets every event from now on that I may see and that its `types` name.

    Each is a POST that is signed as Standard Webhooks has it. The answer holds the secret, which nobody can show again.
    An API key needs `webhooks:write` and `events:read`, as whoever has an endpoint reads events.
    """
    return await acts.create(remit, session.customer.id, wanted, answers, response)


@router.get(
    "",
    operation_id="webhooks.list",
    summary="List my webhook endpoints",
    responses=problem_responses(*_READING, *acts.LISTING),
)
async def endpoints(session: WebhooksRead, remit: Remit, limit: PageSize = 20, cursor: Cursor = None) -> EndpointsOut:
    """Newest first, without their secrets."""
    return await acts.listed(remit, session.customer.id, limit, cursor)


@router.get(
    "/{endpoint_id}",
    operation_id="webhooks.get",
    summary="Get a webhook endpoint",
    responses=problem_responses(*_READING, acts.NOT_FOUND),
)
async def endpoint(endpoint_id: EndpointId, session: WebhooksRead, remit: Remit) -> EndpointOut:
    """How it does, without its secret."""
    return EndpointOut.of(await remit.webhook_endpoints.find(session.customer.id, endpoint_id))


@router.patch(
    "/{endpoint_id}",
    operation_id="webhooks.change",
    summary="Change a webhook endpoint",
    responses=problem_responses(*_READING, *acts.CHANGING),
)
async def change(endpoint_id: EndpointId, wanted: EndpointChangeIn, session: EventsSend, remit: Remit) -> EndpointOut:
    """Its URL, its types, or its state: `disabled` holds its events, `enabled` sends all that was held.

    A repeat changes nothing. An API key needs `webhooks:write` and `events:read`.
    """
    return await acts.change(remit, session.customer.id, endpoint_id, wanted)


@router.delete(
    "/{endpoint_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="webhooks.delete",
    summary="Delete a webhook endpoint",
    responses=problem_responses(*_READING, acts.NOT_FOUND),
)
async def delete(endpoint_id: EndpointId, session: WebhooksWrite, remit: Remit) -> None:
    """Nothing is sent to it any more, also nothing that was held."""
    await remit.webhook_endpoints.delete(session.customer.id, endpoint_id)


@router.post(
    "/{endpoint_id}/rotate-secret",
    operation_id="webhooks.rotate_secret",
    summary="Rotate the secret of a webhook endpoint",
    responses=problem_responses(*_READING, *acts.ROTATING),
)
async def rotate_secret(
    endpoint_id: EndpointId, session: WebhooksWrite, remit: Remit, answers: KeptAnswers
) -> EndpointSecretOut:
    """The answer holds the new secret, which nobody can show again.

    For 24 hours each webhook has two signatures, by the new secret and by the former one.
    """
    return await acts.rotate_secret(remit, session.customer.id, endpoint_id, answers)


@router.post(
    "/{endpoint_id}/test",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="webhooks.test",
    summary="Test a webhook endpoint",
    responses=problem_responses(*_READING, *acts.TESTING),
)
async def test(endpoint_id: EndpointId, session: WebhooksWrite, remit: Remit, answers: KeptAnswers) -> DeliveryOut:
    """Sends an event of the type `webhook_endpoint.test`, once. The list of deliveries says what came of it."""
    return await acts.send_test(remit, session.customer.id, endpoint_id, answers)


@router.get(
    "/{endpoint_id}/deliveries",
    operation_id="webhooks.deliveries",
    summary="List the deliveries of a webhook endpoint",
    responses=problem_responses(*_READING, *acts.LISTING, acts.NOT_FOUND),
)
async def deliveries(
    endpoint_id: EndpointId, session: WebhooksRead, remit: Remit, limit: PageSize = 20, cursor: Cursor = None
) -> DeliveriesOut:
    """Newest first, each with its attempts: when, what came back, and the first bytes of the answer.

    Attempts are kept for 30 days, and so are deliveries that have ended.
    """
    return await acts.deliveries(remit, session.customer.id, endpoint_id, limit, cursor)


@router.post(
    "/{endpoint_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="webhooks.replay",
    summary="Send events once more",
    responses=problem_responses(*_READING, *acts.REPLAYING),
)
async def replay(
    endpoint_id: EndpointId, wanted: EventReplayIn, session: EventsSend, remit: Remit, answers: KeptAnswers
) -> EndpointOut:
    """Every event since then that this endpoint wants, whatever came of it, under its own id and in order.

    Some events of the seconds before may be among them. An API key needs `webhooks:write` and `events:read`.
    """
    return await acts.replay(remit, session.customer.id, endpoint_id, wanted.since, answers)
