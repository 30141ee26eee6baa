"""Customers register, sign in and sign out."""

from fastapi import APIRouter, Request, status

from api.accounts.models import AccountOut
from api.auth.models import LoginIn, RegisteredOut, RegisterIn, TokenOut
from api.auth.passwords import hash_password, password_matches
from api.auth.sessions import CurrentSession
from api.customers.models import CustomerOut
from api.http.fields import normalised_email
from api.http.problems import Problem, problem_responses
from api.services import Remit
from customers.customer import EmailTaken

router = APIRouter(prefix="/v1/auth", tags=["auth"])


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    summary="Register a customer and open their first account",
    responses=problem_responses("invalid_json", "email_taken", "validation_failed", "too_busy", "database_unavailable"),
)
async def register(wanted: RegisterIn, remit: Remit) -> RegisteredOut:
    """Open the first account in the given currency, and sign the customer in."""
    password_hash = await hash_password(wanted.password.get_secret_value())
    document = wanted.identity_document
    try:
        customer, account = await remit.customers.register(
            wanted.email, password_hash, wanted.full_name, document.type, document.number, wanted.currency
        )
    except EmailTaken as error:
        raise Problem("email_taken") from error
    return RegisteredOut(
        customer=CustomerOut.of(customer),
        account=AccountOut.of(account),
        access_token=remit.tokens.issue(customer.id),
        expires_in=remit.tokens.seconds,
    )


@router.post(
    "/login",
    summary="Sign in",
    responses=problem_responses(
        "invalid_json",
        "credentials_invalid",
        "validation_failed",
        "too_many_attempts",
        "too_busy",
        "database_unavailable",
    ),
)
async def login(wanted: LoginIn, remit: Remit, request: Request) -> TokenOut:
    """A short-lived access token for the `Authorization: Bearer` header."""
    try:
        email = normalised_email(wanted.email)
    except ValueError:
        email = None  # nobody can be registered with it, and the answer takes as long
    with remit.login_limits.sign_in(email, request.client.host if request.client else ""):
        customer = await remit.customers.by_email(email) if email else None
        if not await password_matches(customer, wanted.password.get_secret_value()) or customer is None:
            raise Problem("credentials_invalid")
    return TokenOut(access_token=remit.tokens.issue(customer.id), expires_in=remit.tokens.seconds)


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Sign out",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable"),
)
async def logout(session: CurrentSession, remit: Remit) -> None:
    """Every process refuses the token from now on."""
    await remit.customers.revoke(session.token_id, session.expires_at)


@router.get(
    "/me",
    summary="Get the signed-in customer",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable"),
)
async def me(session: CurrentSession) -> CustomerOut:
    """The customer that the access token belongs to."""
    return CustomerOut.of(session.customer)
