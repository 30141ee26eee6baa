"""Webhook endpoints of the platform, for admins: events of all customers, by HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.contract.response_headers import CREATED
from api.http.fields import Cursor, PageSize
from api.http.problems import problem_responses
from api.http.repeats import KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, may
from api.webhooks import acts
from api.webhooks.models import (
    NO_REASON,
    DeliveriesOut,
    DeliveryOut,
    EndpointOut,
    EndpointSecretOut,
    EndpointsOut,
    PlatformEndpointChangeIn,
    PlatformEndpointIn,
    PlatformReplayIn,
)
from ledger.ids import EndpointId
from staff.permissions import Action, Actor
from webhooks.postgres.endpoints import StaffReason

router = APIRouter(prefix=acts.PLATFORM_PATH, tags=["admin"], route_class=CheckedRoute)

Manager = Annotated[Actor, Depends(may(Action.MANAGE_WEBHOOKS))]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="admin.webhooks.create",
    summary="Make a webhook endpoint of the platform",
    responses=CREATED | problem_responses(*READING, *acts.CREATING),
)
async def create(
    wanted: PlatformEndpointIn, actor: Manager, remit: Remit, answers: KeptAnswers, response: Response
) -> EndpointSecretOut:
    """It gets every event from now on that its `types` name, of all customers, with all that staff may see.

    Each is a POST that is signed as Standard Webhooks has it. The answer holds the secret, which nobody can show again.
    """
    return await acts.create(remit, None, wanted, answers, response, StaffReason(actor, wanted.reason))


@router.get(
    "",
    operation_id="admin.webhooks.list",
    summary="List the platform's webhook endpoints",
    responses=problem_responses(*READING, *acts.LISTING),
)
async def endpoints(_: Manager, remit: Remit, limit: PageSize = 20, cursor: Cursor = None) -> EndpointsOut:
    """Newest first, without their secrets."""
    return await acts.listed(remit, None, limit, cursor)


@router.get(
    "/{endpoint_id}",
    operation_id="admin.webhooks.get",
    summary="Get a webhook endpoint of the platform",
    responses=problem_responses(*READING, acts.NOT_FOUND),
)
async def endpoint(endpoint_id: EndpointId, _: Manager, remit: Remit) -> EndpointOut:
    """How it does, without its secret."""
    return EndpointOut.of(await remit.webhook_endpoints.find(None, endpoint_id))


@router.patch(
    "/{endpoint_id}",
    operation_id="admin.webhooks.change",
    summary="Change a webhook endpoint of the platform",
    responses=problem_responses(*READING, *acts.CHANGING),
)
async def change(
    endpoint_id: EndpointId, wanted: PlatformEndpointChangeIn, actor: Manager, remit: Remit
) -> EndpointOut:
    """Its URL, its types, or its state: `disabled` holds its events, `enabled` sends all that was held.

    A repeat changes nothing.
    """
    return await acts.change(remit, None, endpoint_id, wanted, StaffReason(actor, wanted.reason))


@router.delete(
    "/{endpoint_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="admin.webhooks.delete",
    summary="Delete a webhook endpoint of the platform",
    responses=problem_responses(*READING, acts.NOT_FOUND),
)
async def delete(endpoint_id: EndpointId, actor: Manager, remit: Remit) -> None:
    """Nothing is sent to it any more, also nothing that was held."""
    await remit.webhook_endpoints.delete(None, endpoint_id, StaffReason(actor, NO_REASON))


@router.post(
    "/{endpoint_id}/rotate-secret",
    operation_id="admin.webhooks.rotate_secret",
    summary="Rotate the secret of an endpoint of the platform",
    responses=problem_responses(*READING, *acts.ROTATING),
)
async def rotate_secret(
    endpoint_id: EndpointId, actor: Manager, remit: Remit, answers: KeptAnswers
) -> EndpointSecretOut:
    """The answer holds the new secret, which nobody can show again.

    For 24 hours each webhook has two signatures, by the new secret and by the former one.
    """
    return await acts.rotate_secret(remit, None, endpoint_id, answers, StaffReason(actor, NO_REASON))


@router.post(
    "/{endpoint_id}/test",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="admin.webhooks.test",
    summary="Test a webhook endpoint of the platform",
    responses=problem_responses(*READING, *acts.TESTING),
)
async def test(endpoint_id: EndpointId, actor: Manager, remit: Remit, answers: KeptAnswers) -> DeliveryOut:
    """Sends an event of the type `webhook_endpoint.test`, once. The list of deliveries says what came of it."""
    return await acts.send_test(remit, None, endpoint_id, answers, StaffReason(actor, NO_REASON))


@router.get(
    "/{endpoint_id}/deliveries",
    operation_id="admin.webhooks.deliveries",
    summary="List the deliveries of an endpoint of the platform",
    responses=problem_responses(*READING, *acts.LISTING, acts.NOT_FOUND),
)
async def deliveries(
    endpoint_id: EndpointId, _: Manager, remit: Remit, limit: PageSize = 20, cursor: Cursor = None
) -> DeliveriesOut:
    """Newest first, each with its attempts: when, what came back, and the first bytes of the answer.

    Attempts are kept for 30 days, and so are deliveries that have ended.
    """
    return await acts.deliveries(remit, None, endpoint_id, limit, cursor)


@router.post(
    "/{endpoint_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="admin.webhooks.replay",
    summary="Send events to an endpoint of the platform once more",
    responses=problem_responses(*READING, *acts.REPLAYING),
)
async def replay(
    endpoint_id: EndpointId, wanted: PlatformReplayIn, actor: Manager, remit: Remit, answers: KeptAnswers
) -> EndpointOut:
    """Every event since then that this endpoint wants, whatever came of it, under its own id and in order.

    Some events of the seconds before may be among them.
    """
    return await acts.replay(remit, None, endpoint_id, wanted.since, answers, StaffReason(actor, wanted.reason))
