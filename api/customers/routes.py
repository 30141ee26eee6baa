"""Customers and their roles, for staff."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.accounts.models import AccountOut
from api.customers.models import CustomerFileOut, CustomerOut, CustomersOut, RoleIn
from api.http.fields import PageSize
from api.http.paging import from_cursor, next_cursor, to_cursor
from api.http.problems import problem_responses
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from ledger.ids import CustomerId
from staff.permissions import Action, Actor, NoSuchCustomer

router = APIRouter(prefix="/v1/admin/customers", tags=["admin"])


@router.get("", summary="Find customers", responses=problem_responses(*READING, "cursor_invalid", "validation_failed"))
async def customers(
    _: Staff,
    remit: Remit,
    email: Annotated[
        str, Query(max_length=254, description="The beginning of the email address", examples=["ada@"])
    ] = "",
    limit: PageSize = 20,
    cursor: Annotated[str | None, Query(max_length=400, description="next_cursor of the previous page")] = None,
) -> CustomersOut:
    """In the order of their email addresses."""
    (after,) = from_cursor(cursor, parts=1) if cursor else ("",)
    page = await remit.customers.search(email.lower(), after, limit)
    return CustomersOut(
        items=[CustomerOut.of(customer) for customer in page.items],
        next_cursor=next_cursor(page, lambda last: to_cursor(last.email)),
    )


@router.get("/{customer_id}", summary="Get a customer", responses=problem_responses(*READING, "customer_not_found"))
async def customer(customer_id: CustomerId, _: Staff, remit: Remit) -> CustomerFileOut:
    """The customer with their accounts, oldest first."""
    found = await remit.customers.find(customer_id)
    if found is None:
        raise NoSuchCustomer(customer_id)
    accounts = await remit.account_reads.all_of(customer_id)
    return CustomerFileOut(
        **CustomerOut.of(found).model_dump(), accounts=[AccountOut.of(account) for account in accounts]
    )


@router.post(
    "/{customer_id}/role",
    summary="Give a customer a role (admins)",
    responses=problem_responses(*ACTING, "customer_not_found"),
)
async def grant_role(
    customer_id: CustomerId,
    wanted: RoleIn,
    actor: Annotated[Actor, Depends(may(Action.GRANT_ROLE))],
    remit: Remit,
) -> CustomerOut:
    """The role applies from their next request. Nobody can change their own role, so an admin always remains."""
    return CustomerOut.of(await remit.operators.grant_role(actor, customer_id, wanted.role, wanted.reason))
