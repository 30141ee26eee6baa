"""Another password: with the present one, or with a code that came by mail."""

from fastapi import APIRouter, BackgroundTasks, status

from api.auth.models import NewPasswordIn, PasswordCodeIn, PasswordResetIn
from api.auth.outgoing_mail import send_mail
from api.auth.passwords import hash_password, password_matches
from api.auth.sessions import CurrentClient, CurrentSession
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from customers.sign_ins.backoff import account_named
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.postgres import SignInAttempt
from notifications.mail.texts import password_reset_mail

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=CheckedRoute)


@router.post(
    "/password",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.change_password",
    summary="Change my password",
    responses=problem_responses(
        "invalid_json",
        "not_authenticated",
        "token_expired",
        "password_wrong",
        "validation_failed",
        "too_many_attempts",
        "too_busy",
        "database_unavailable",
    ),
)
async def change_password(wanted: NewPasswordIn, session: CurrentSession, remit: Remit, client: CurrentClient) -> None:
    """All your other sessions end at once, in every process. A wrong password counts like one at sign-in."""
    customer = session.customer
    async with remit.login_limits.sign_in(SignInAttempt(client, account_named(customer.email))) as outcome:
        if not await password_matches(customer, wanted.current_password.get_secret_value(), client):
            await outcome.failed(customer)
            raise Problem("password_wrong")
    new = await hash_password(wanted.new_password.get_secret_value(), client)
    kind = AuthEventKind.PASSWORD_CHANGED
    if not await remit.sessions.set_password(customer, new, client, kind, keep=session.session_id):
        raise Problem("password_wrong")  # another change was first


@router.post(
    "/password-reset",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="auth.request_password_reset",
    summary="Get a mail that lets me set another password",
    responses=problem_responses("invalid_json", "mail_off", "validation_failed", "database_unavailable"),
)
async def request_password_reset(
    wanted: PasswordResetIn, remit: Remit, client: CurrentClient, tasks: BackgroundTasks
) -> None:
    """The answer is the same whether somebody has registered with the address. At most one mail a minute."""
    if not remit.mailer.accepts:
        raise Problem("mail_off")
    customer = await remit.customers.by_email(wanted.email)
    attempt = SignInAttempt(client, account_named(wanted.email))
    is_first = await remit.sign_ins.record_reset_request(attempt, customer.id if customer else None)
    if is_first and customer is not None and customer.disabled_at is None:
        code = remit.tokens.issue_password_code(customer)
        tasks.add_task(send_mail, remit.mailer, password_reset_mail(customer.email, code, remit.web_url))


@router.post(
    "/password-reset/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.reset_password",
    summary="Set another password with the code from the mail",
    responses=problem_responses(
        "invalid_json", "reset_code_invalid", "validation_failed", "too_busy", "database_unavailable"
    ),
)
async def reset_password(wanted: PasswordCodeIn, remit: Remit, client: CurrentClient) -> None:
    """All your sessions end at once, in every process. The code works once, for an hour."""
    code = wanted.reset_code.get_secret_value()
    customer = await remit.customers.find(remit.tokens.read_password_code(code))
    if customer is None or customer.disabled_at is not None:
        raise Problem("reset_code_invalid")
    remit.tokens.check_password_code(code, customer)
    new = await hash_password(wanted.new_password.get_secret_value(), client)
    if not await remit.sessions.set_password(customer, new, client, AuthEventKind.PASSWORD_RESET):
        raise Problem("reset_code_invalid")  # of two uses at once, the other was first
