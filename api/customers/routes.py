"""Customers and their roles, for staff."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response, status

from api.accounts.models import AccountOut
from api.auth.sessions import CurrentClient
from api.customers.models import (
    CustomerFileOut,
    CustomerFilters,
    CustomerOut,
    CustomerSearchIn,
    CustomersOut,
    EmailCodeOut,
    ListedCustomerOut,
    RoleIn,
)
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit, Services
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from ledger.ids import CustomerId
from staff.permissions import Action, Actor, NoSuchCustomer
from staff.postgres.roles import RoleChange

router = APIRouter(prefix="/v1/admin/customers", tags=["admin"], route_class=CheckedRoute)

_ROLE_WAITS: dict[int | str, dict[str, Any]] = {
    202: {"model": CustomerOut, "description": "The role waits for another admin"}
}


@router.get(
    "",
    operation_id="admin.customers.list",
    summary="List customers",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def customers(
    wanted: Annotated[CustomerFilters, Query()], actor: Staff, client: CurrentClient, remit: Remit
) -> CustomersOut:
    """With their accounts' states, in the order of their email addresses. The trail of sign-ins holds who reads."""
    return await _page(actor, client, remit, CustomerSearchIn(email="", **dict(wanted)))


@router.post(
    "/search",
    operation_id="admin.customers.search",
    summary="Find customers by email address",
    responses=problem_responses(*READING, "invalid_json", "body_too_large", "cursor_invalid", "validation_failed"),
)
async def search(wanted: CustomerSearchIn, actor: Staff, client: CurrentClient, remit: Remit) -> CustomersOut:
    """In the order of their email addresses. Addresses are in the body: logs and histories keep what is in a URL."""
    return await _page(actor, client, remit, wanted)


@router.get(
    "/{customer_id}",
    operation_id="admin.customers.get",
    summary="Get a customer",
    responses=problem_responses(*READING, "customer_not_found"),
)
async def customer(customer_id: CustomerId, actor: Staff, client: CurrentClient, remit: Remit) -> CustomerFileOut:
    """The customer with their accounts, oldest first. The trail of authentication holds who read it."""
    found = await remit.customers.find(customer_id)
    if found is None:
        raise NoSuchCustomer(customer_id)
    await remit.sign_ins.record(AuthEventKind.CUSTOMER_READ, client, actor.id, customer_id)
    accounts = await remit.account_reads.all_of(customer_id)
    return CustomerFileOut(
        **CustomerOut.of(found).model_dump(), accounts=[AccountOut.of(account) for account in accounts]
    )


@router.post(
    "/{customer_id}/email-verification",
    operation_id="admin.customers.issue_email_code",
    summary="Get a code that verifies a customer's email address (admins)",
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(*ACTING, "customer_not_found"),
)
async def issue_email_code(
    customer_id: CustomerId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.VERIFY_EMAIL))],
    remit: Remit,
) -> EmailCodeOut:
    """Send the code by mail to the customer's address. Only whoever reads that mail can use it, signed in as them."""
    found = await remit.roles.record_verification(actor, customer_id, wanted.reason)
    code, expires_at = remit.tokens.issue_email_code(found)
    return EmailCodeOut(code=code, expires_at=expires_at)


@router.post(
    "/{customer_id}/disable",
    operation_id="admin.customers.disable",
    summary="Keep a customer from signing in",
    responses=problem_responses(*ACTING, *KEYED, "customer_not_found"),
)
async def disable(
    customer_id: CustomerId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.DISABLE_CUSTOMER))],
    remit: Remit,
    answers: KeptAnswers,
) -> CustomerOut:
    """Their sessions and API keys stop working at once, in every process.

    Their accounts stay as they are: freeze these, too, if no money may move. Only admins disable staff.
    """
    keep = answers.keep(CustomerOut.of)
    action = Action.DISABLE_CUSTOMER
    return CustomerOut.of(await remit.roles.set_access(actor, action, customer_id, wanted.reason, keep))


@router.post(
    "/{customer_id}/enable",
    operation_id="admin.customers.enable",
    summary="Let a customer sign in again",
    responses=problem_responses(*ACTING, *KEYED, "customer_not_found"),
)
async def enable(
    customer_id: CustomerId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.ENABLE_CUSTOMER))],
    remit: Remit,
    answers: KeptAnswers,
) -> CustomerOut:
    """Their former sessions stay ended. Only admins enable staff."""
    keep = answers.keep(CustomerOut.of)
    action = Action.ENABLE_CUSTOMER
    return CustomerOut.of(await remit.roles.set_access(actor, action, customer_id, wanted.reason, keep))


@router.post(
    "/{customer_id}/second-factor/remove",
    operation_id="admin.customers.remove_second_factor",
    summary="Remove the second factor of somebody who has lost it (admins)",
    responses=problem_responses(*ACTING, *KEYED, "customer_not_found"),
)
async def remove_second_factor(
    customer_id: CustomerId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.REMOVE_SECOND_FACTOR))],
    remit: Remit,
    answers: KeptAnswers,
) -> CustomerOut:
    """They sign in with the password alone, and their sessions end. Make sure that it is them who ask."""
    keep = answers.keep(CustomerOut.of)
    return CustomerOut.of(await remit.roles.remove_second_factor(actor, customer_id, wanted.reason, keep))


@router.post(
    "/{customer_id}/role",
    operation_id="admin.customers.set_role",
    summary="Give a customer a role (admins)",
    responses=_ROLE_WAITS
    | problem_responses(
        *ACTING, *KEYED, "customer_not_found", "email_not_verified", "role_too_young", "address_vouched_for"
    ),
)
async def set_role(
    customer_id: CustomerId,
    wanted: RoleIn,
    actor: Annotated[Actor, Depends(may(Action.GRANT_ROLE))],
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> CustomerOut:
    """The role applies from their next request. Nobody can change their own role, so an admin always remains.

    More rights need two admins: the first is answered 202 with the customer as they are, and when another admin sends
    the same, the role applies. Their address must be verified. Less rights need one admin.
    """
    keep = answers.keep(_changed, _status_of)
    change = await remit.roles.set_role(actor, customer_id, wanted.role, wanted.reason, keep)
    response.status_code = _status_of(change)
    return _changed(change)


def _changed(change: RoleChange) -> CustomerOut:
    return CustomerOut.of(change.customer)


def _status_of(change: RoleChange) -> int:
    return status.HTTP_202_ACCEPTED if change.waits else status.HTTP_200_OK


async def _page(actor: Actor, client: Client, remit: Services, wanted: CustomerSearchIn) -> CustomersOut:
    after: CustomerId | None = None
    if wanted.cursor is not None:
        (id_,) = remit.cursors.read("customers", wanted.cursor)
        after = CustomerId(id_)
    page = await remit.customers.search(wanted.email.lower(), after, wanted.limit, wanted.filter)
    accounts = await remit.account_reads.all_of_many([found.id for found in page.items])
    facts = {"customers": [found.id for found in page.items]}
    await remit.sign_ins.record(AuthEventKind.CUSTOMERS_LISTED, client, actor.id, None, facts)
    return CustomersOut(
        items=[ListedCustomerOut.with_accounts(customer, accounts[customer.id]) for customer in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign("customers", last.id)),
    )
