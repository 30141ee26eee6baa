"""Customers register, sign in and sign out."""

import hashlib
import json

from fastapi import APIRouter, BackgroundTasks, Response, status

from api.accounts.models import AccountOut
from api.auth.models import EmailCodeIn, LoginIn, RegisteredOut, RegisterIn, TokenOut
from api.auth.outgoing_mail import send_mail
from api.auth.passwords import hash_password, password_matches
from api.auth.second_factor.routes import is_shown
from api.auth.sessions import CurrentCaller, CurrentClient, CurrentSession, UserAgent
from api.customers.models import CustomerOut
from api.http.fields import normalised_email
from api.http.headers import OptionalIdempotencyKey
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, REPLAYED
from api.http.route import CheckedRoute
from api.services import Remit, Services
from customers.customer import Customer, EmailTaken
from customers.documents.document import last_characters
from customers.registrations.postgres import KeyedRegistration, Registration
from customers.sessions.session import Session
from customers.sign_ins.backoff import account_named
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import SignInAttempt
from ledger.accounts import Account
from notifications.mail.texts import address_mail

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=CheckedRoute)


LOGIN_PROBLEMS = (
    "invalid_json",
    "credentials_invalid",
    "customer_disabled",
    "second_factor_required",
    "second_factor_invalid",
    "encryption_key_missing",
    "validation_failed",
    "too_many_attempts",
    "too_busy",
    "database_unavailable",
)


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    operation_id="auth.register",
    summary="Register a customer and open their first account",
    responses=problem_responses(
        "invalid_json",
        "email_taken",
        "validation_failed",
        *KEYED,
        "customer_disabled",
        "second_factor_required",
        "too_many_attempts",
        "too_busy",
        "database_unavailable",
    ),
)
async def register(
    wanted: RegisterIn,
    remit: Remit,
    client: CurrentClient,
    agent: UserAgent,
    response: Response,
    key: OptionalIdempotencyKey,
    tasks: BackgroundTasks,
) -> RegisteredOut:
    """Open the first account in the given currency or the default one, and sign the customer in.

    The account takes money at once, and sends none until `customer.verification.state` is `verified`. Where that is
    not so yet, a workflow goes on with it: read `GET /v1/auth/me` again.

    A repeat with the same key and body gets the same customer and account as they are now, and a new token. The key
    belongs to the address that registers, and is none of the customer's later keys.
    """
    asked = KeyedRegistration(key, _digest(wanted)) if key else None
    if asked and (known := await remit.customers.registered(wanted.email, asked.key)):
        return await _registered_before(known, asked, wanted, remit, client, agent, response)
    password_hash = await hash_password(wanted.password.get_secret_value(), client)
    document = wanted.identity_document.known_to(remit.verifier)
    currency = wanted.currency or remit.default_currency
    try:
        customer, account = await remit.customers.register(
            wanted.email, password_hash, wanted.full_name, document, currency, client, asked
        )
    except EmailTaken as error:
        # An equal request may have been first by a moment.
        if asked and (known := await remit.customers.registered(wanted.email, asked.key)):
            return await _registered_before(known, asked, wanted, remit, client, agent, response)
        raise Problem("email_taken") from error
    # Nobody waits for Temporal here. While it gives no answer, recovery starts the workflow later: the rows say so.
    remit.temporal.begin_onboarding(customer.id)
    mail_code(customer, remit, tasks)
    return await _signed_in(customer, account, remit, client, agent)


async def _registered_before(
    known: tuple[Customer, Registration],
    asked: KeyedRegistration,
    wanted: RegisterIn,
    remit: Remit,
    client: Client,
    agent: str | None,
    response: Response,
) -> RegisteredOut:
    """Answer a repeat. It hands out a token, so its password counts as at a sign-in: nobody can try out many."""
    customer, registration = known
    if registration.request != asked.request:
        raise Problem("idempotency_key_reused")
    password = wanted.password.get_secret_value()
    async with remit.login_limits.sign_in(SignInAttempt(client, account_named(wanted.email))) as outcome:
        if not await password_matches(customer, password, client):
            await outcome.failed(customer)
            raise Problem("idempotency_key_reused")
        if customer.disabled_at is not None:
            await outcome.refused(customer)
            raise Problem("customer_disabled")
        if await remit.second_factors.required_of(customer.id):
            raise Problem("second_factor_required", "Sign in at /v1/auth/login, with your second factor.")
        await outcome.succeeded(customer)
    account = await remit.account_reads.find(registration.account_id)
    assert account is not None, "accounts are never deleted"
    response.headers[REPLAYED] = "true"
    return await _signed_in(customer, account, remit, client, agent)


async def _signed_in(
    customer: Customer, account: Account, remit: Services, client: Client, agent: str | None
) -> RegisteredOut:
    tokens = TokenOut.of(remit.tokens.issue(await remit.sessions.start(customer, client, agent)))
    return RegisteredOut(customer=CustomerOut.of(customer), account=AccountOut.of(account), **tokens.model_dump())


def _digest(wanted: RegisterIn) -> str:
    """SHA-256 over what was asked for, without what a digest would make easy to try out.

    That is the password, and of the number of the document all but its last characters, which are no secret.
    """
    contents = wanted.model_dump(mode="json", exclude={"password"}, exclude_unset=True)
    contents["identity_document"]["number"] = last_characters(wanted.identity_document.number)
    return hashlib.sha256(json.dumps(contents, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@router.post(
    "/login",
    operation_id="auth.login",
    summary="Sign in",
    responses=problem_responses(*LOGIN_PROBLEMS),
)
async def login(wanted: LoginIn, remit: Remit, client: CurrentClient, agent: UserAgent) -> TokenOut:
    """A short-lived access token for the `Authorization: Bearer` header, and a refresh token for the next ones.

    After several wrong passwords for one address from one client, that client has to wait before the next attempt at
    it, longer each time. Nobody else has to.
    """
    return TokenOut.of(remit.tokens.issue(await session_of(wanted, remit, client, agent)))


async def session_of(wanted: LoginIn, remit: Services, client: Client, agent: str | None) -> Session:
    """A new session of whoever has this address and password. Raises the problems of a sign-in."""
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
        if customer.disabled_at is not None:
            await outcome.refused(customer)
            raise Problem("customer_disabled")
        has_factor = await remit.second_factors.required_of(customer.id)
        if has_factor:
            if wanted.second_factor is None:
                raise Problem("second_factor_required")  # no failure: the next request brings the code
            if not await is_shown(customer.id, wanted.second_factor.get_secret_value(), remit, client):
                await outcome.failed(customer)
                raise Problem("second_factor_invalid")
        await outcome.succeeded(customer)
    return await remit.sessions.start(customer, client, agent, second_factor=has_factor)


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.logout",
    summary="Sign out",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable"),
)
async def logout(session: CurrentSession, remit: Remit, client: CurrentClient, response: Response) -> None:
    """The session ends: every process refuses its tokens from now on. A browser forgets its cookies."""
    remit.cookies.clear(response)
    await remit.sessions.end(session.customer.id, session.session_id, client, AuthEventKind.SIGNED_OUT)


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
    """With the code of the link in the mail. It verifies this address of yours once.

    A repeat is answered the same and changes nothing: mail programs and people open a link twice.
    """
    remit.tokens.check_email_code(wanted.code, session.customer)
    return CustomerOut.of(await remit.customers.verify_email(session.customer.id, client))


@router.post(
    "/email-verification/mail",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="auth.request_email_verification",
    summary="Get another mail with a link that verifies my address",
    responses=problem_responses("not_authenticated", "token_expired", "mail_off", "database_unavailable"),
)
async def request_email_verification(
    session: CurrentSession, remit: Remit, client: CurrentClient, tasks: BackgroundTasks
) -> None:
    """Registration has sent the first one. At most one mail a minute, and none once the address is verified."""
    if not remit.mailer.accepts:
        raise Problem("mail_off")
    customer = session.customer
    attempt = SignInAttempt(client, account_named(customer.email))
    if not customer.email_verified and await remit.sign_ins.record_code_request(attempt, customer.id):
        mail_code(customer, remit, tasks)


def mail_code(customer: Customer, remit: Services, tasks: BackgroundTasks) -> None:
    """Send the link after the answer. A mail that was not sent is logged, and the customer asks for another one."""
    if remit.mailer.accepts:
        code, _ = remit.tokens.issue_email_code(customer)
        tasks.add_task(send_mail, remit.mailer, address_mail(customer.email, code, remit.web_url))


@router.get(
    "/me",
    operation_id="auth.me",
    summary="Get the signed-in customer",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable"),
)
async def me(session: CurrentCaller) -> CustomerOut:
    """The customer that the access token, or the API key, belongs to."""
    return CustomerOut.of(session.customer)
