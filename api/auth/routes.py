"""Customers register, sign in and sign out."""

from fastapi import APIRouter, status

from api.accounts.models import AccountOut
from api.auth.models import EmailCodeIn, LoginIn, RegisteredOut, RegisterIn, TokenOut
from api.auth.passwords import hash_password, password_matches
from api.auth.sessions import CurrentClient, CurrentSession
from api.customers.models import CustomerOut
from api.http.fields import normalised_email
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from customers.customer import EmailTaken
from customers.sign_ins.backoff import account_named
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.postgres import SignInAttempt

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=CheckedRoute)


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    operation_id="auth.register",
    summary="Register a customer and open their first account",
    responses=problem_responses("invalid_json", "email_taken", "validation_failed", "too_busy", "database_unavailable"),
)
async def register(wanted: RegisterIn, remit: Remit, client: CurrentClient) -> RegisteredOut:
    """Open the first account, in the given currency or the default one, and sign the customer in."""
    password_hash = await hash_password(wanted.password.get_secret_value(), client)
    document = wanted.identity_document
    currency = wanted.currency or remit.default_currency
    try:
        customer, account = await remit.customers.register(
            wanted.email, password_hash, wanted.full_name, document.type, document.number, currency, client
        )
    except EmailTaken as error:
        raise Problem("email_taken") from error
    return RegisteredOut(
        customer=CustomerOut.of(customer),
        account=AccountOut.of(account),
        access_token=remit.tokens.issue(customer.id, customer.session_generation),
        expires_in=remit.tokens.seconds,
    )


@router.post(
    "/login",
    operation_id="auth.login",
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
async def login(wanted: LoginIn, remit: Remit, client: CurrentClient) -> TokenOut:
    """A short-lived access token for the `Authorization: Bearer` header.

    After several wrong passwords for one address from one client, that client has to wait before the next attempt at
    it, longer each time. Nobody else has to.
    """
    try:
        email = normalised_email(wanted.email)
    except ValueError:
        email = None  # nobody can be registered with it, and the answer takes as long
    attempt = SignInAttempt(client, account_named(email or wanted.email))
    async with remit.login_limits.sign_in(attempt) as outcome:
        customer = await remit.customers.by_email(email) if email else None
        if not await password_matches(customer, wanted.password.get_secret_value(), client) or customer is None:
            await outcome.failed(customer)
            raise Problem("credentials_invalid")
        await outcome.succeeded(customer)
    token = remit.tokens.issue(customer.id, customer.session_generation)
    return TokenOut(access_token=token, expires_in=remit.tokens.seconds)


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.logout",
    summary="Sign out",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable"),
)
async def logout(session: CurrentSession, remit: Remit, client: CurrentClient) -> None:
    """Every process refuses the token from now on."""
    me = session.customer.id
    await remit.customers.revoke(session.token_id, session.expires_at)
    await remit.sign_ins.record(AuthEventKind.SIGNED_OUT, client, me, me)


@router.post(
    "/email-verification",
    operation_id="auth.verify_email",
    summary="Verify my email address",
    responses=problem_responses(
        "invalid_json",
        "not_authenticated",
        "token_expired",
        "verification_code_invalid",
        "validation_failed",
        "database_unavailable",
    ),
)
async def verify_email(
    wanted: EmailCodeIn, session: CurrentSession, remit: Remit, client: CurrentClient
) -> CustomerOut:
    """With a code that reached you by mail. A repeat is answered the same."""
    me = session.customer.id
    remit.tokens.check_email_code(wanted.code, session.customer)
    await remit.sign_ins.record(AuthEventKind.EMAIL_VERIFIED, client, me, me)
    return CustomerOut.of(await remit.customers.verify_email(me))


@router.get(
    "/me",
    operation_id="auth.me",
    summary="Get the signed-in customer",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable"),
)
async def me(session: CurrentSession) -> CustomerOut:
    """The customer that the access token belongs to."""
    return CustomerOut.of(session.customer)
