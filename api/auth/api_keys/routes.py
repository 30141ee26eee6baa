"""Customers make and revoke keys for their integrators."""

from fastapi import APIRouter, status

from api.auth.api_keys.models import ApiKeyCreatedOut, ApiKeyIn, ApiKeyOut, ApiKeysOut
from api.auth.passwords import password_matches
from api.auth.second_factor.routes import is_shown
from api.auth.sessions import Caller, CurrentClient, CurrentSession
from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit, Services
from customers.api_keys.api_key import Scope
from customers.sign_ins.backoff import account_named
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import SignInAttempt
from ledger.ids import ApiKeyId
from staff.permissions import Role

router = APIRouter(prefix="/v1/auth/api-keys", tags=["auth"], route_class=CheckedRoute)

_OWN = ("not_authenticated", "token_expired", "api_key_refused", "database_unavailable")


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="auth.api_keys.create",
    summary="Make an API key",
    responses=problem_responses(
        *_OWN,
        "forbidden",
        "password_wrong",
        "second_factor_missing",
        "second_factor_required",
        "second_factor_invalid",
        "invalid_json",
        "validation_failed",
        "too_many_attempts",
        "too_busy",
        "encryption_key_missing",
    ),
)
async def create(wanted: ApiKeyIn, session: CurrentSession, remit: Remit, client: CurrentClient) -> ApiKeyCreatedOut:
    """The answer holds the key, which nobody can show again. If the answer was lost, revoke the key and make another.

    Only admins make a key with the scope `rails:write`; it ends with their role.
    A key may do what its scopes say, and never reaches passwords, sessions, keys or the routes for staff.
    Send your password again, and `second_factor` if you have one. A wrong password counts like one at sign-in.
    """
    if Scope.RAILS_WRITE in wanted.scopes and Role(session.customer.role) is not Role.ADMIN:
        raise Problem("forbidden", "Only an admin makes the key of a rail.")
    if Scope.RAILS_WRITE in wanted.scopes and session.lacks_second_factor:
        raise Problem("second_factor_missing")
    await _check_credentials(wanted, session, remit, client)
    made, key = await remit.api_keys.create(session.customer.id, wanted.name, wanted.scopes, client)
    return ApiKeyCreatedOut(**ApiKeyOut.of(made).model_dump(), key=key).owned_by(made.customer_id)


async def _check_credentials(wanted: ApiKeyIn, session: Caller, remit: Services, client: Client) -> None:
    """Raise a problem unless the request has the password and, where one is set, a code of the second factor."""
    customer = session.customer
    async with remit.login_limits.sign_in(SignInAttempt(client, account_named(customer.email))) as outcome:
        if not await password_matches(customer, wanted.password.get_secret_value(), client):
            await outcome.failed(customer)
            raise Problem("password_wrong")
        if await remit.second_factors.required_of(customer.id):
            if wanted.second_factor is None:
                raise Problem("second_factor_required")  # no failure: the next request brings the code
            if not await is_shown(customer.id, wanted.second_factor.get_secret_value(), remit, client):
                await outcome.failed(customer)
                raise Problem("second_factor_invalid")


@router.get(
    "",
    operation_id="auth.api_keys.list",
    summary="List my API keys",
    responses=problem_responses(*_OWN, "cursor_invalid", "validation_failed"),
)
async def api_keys(session: CurrentSession, remit: Remit, limit: PageSize = 20, cursor: Cursor = None) -> ApiKeysOut:
    """Newest first, revoked ones included, and without their secrets."""
    page = await remit.api_keys.of_customer(session.customer.id, remit.cursors.read_place("api keys", cursor), limit)
    return ApiKeysOut(
        items=[ApiKeyOut.of(one) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("api keys", last.created_at, last.id)),
    )


@router.delete(
    "/{api_key_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.api_keys.revoke",
    summary="Revoke an API key",
    responses=problem_responses(*_OWN, "api_key_not_found"),
)
async def revoke(api_key_id: ApiKeyId, session: CurrentSession, remit: Remit, client: CurrentClient) -> None:
    """Every process refuses it from now on. A repeat is answered the same."""
    if not await remit.api_keys.revoke(session.customer.id, api_key_id, client):
        raise Problem("api_key_not_found")
