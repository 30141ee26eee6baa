"""A second factor for one's own sign-ins: an authenticator app, and codes for the day when it is lost."""

import math
from typing import Annotated

from fastapi import APIRouter, status
from pydantic import Field, SecretStr

from api.auth.passwords import password_matches
from api.auth.second_factor.totp import new_secret, step_for, uri_of
from api.auth.sessions import Caller, CurrentClient, CurrentSession
from api.http.fields import In, NormalForm
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.ownership.owned import Ownerless
from api.services import Remit, Services
from customers.second_factor.second_factor import EnrolledAlready, FactorRuling, NotEnrolling, new_recovery_codes
from customers.sign_ins.backoff import account_named
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import SignInAttempt
from ledger.ids import CustomerId

router = APIRouter(prefix="/v1/auth/second-factor", tags=["auth"], route_class=CheckedRoute)

_OWN = (
    "not_authenticated",
    "token_expired",
    "invalid_json",
    "validation_failed",
    "too_many_attempts",
    "encryption_key_missing",
    "database_unavailable",
)


class SecondFactorIn(In):
    """The password again: whoever has found a signed-in screen adds no factor of theirs."""

    password: Annotated[SecretStr, Field(max_length=128, examples=["correct horse battery"]), NormalForm]


class SecondFactorCodeIn(In):
    """A code that is used up by the request."""

    second_factor: Annotated[SecretStr, Field(max_length=64, description="Of the app", examples=["492039"])]


class SecondFactorOut(Ownerless):
    """For an authenticator app. It is asked for once a first code has confirmed it."""

    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    uri: str = Field(description="The same as a QR code holds it", examples=["otpauth://totp/Remit:ada%40example.com"])


class RecoveryCodesOut(Ownerless):
    """Codes that each replace the app once. Nobody can show them again."""

    recovery_codes: list[str] = Field(examples=[["mfrg-gzdf-mztw-q2lk"]])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="auth.second_factor.begin",
    summary="Begin to add a second factor",
    responses=problem_responses(*_OWN, "password_wrong", "second_factor_exists", "too_busy"),
)
async def begin(
    wanted: SecondFactorIn, session: CurrentSession, remit: Remit, client: CurrentClient
) -> SecondFactorOut:
    """Type the secret into an authenticator app, then confirm a code of it. A repeat makes another secret."""
    customer = session.customer
    async with remit.login_limits.sign_in(SignInAttempt(client, account_named(customer.email))) as outcome:
        if not await password_matches(customer, wanted.password.get_secret_value(), client):
            await outcome.failed(customer)
            raise Problem("password_wrong")
    secret = new_secret()
    try:
        await remit.second_factors.begin(customer.id, secret)
    except EnrolledAlready as error:
        raise Problem("second_factor_exists") from error
    return SecondFactorOut(secret=secret, uri=uri_of(secret, customer.email))


@router.post(
    "/confirm",
    operation_id="auth.second_factor.confirm",
    summary="Confirm a second factor by its first code",
    responses=problem_responses(*_OWN, "second_factor_invalid", "second_factor_exists", "too_busy"),
)
async def confirm(
    wanted: SecondFactorCodeIn, session: CurrentSession, remit: Remit, client: CurrentClient
) -> RecoveryCodesOut:
    """From now on a sign-in needs a code. All your other sessions end. Keep the recovery codes where the app is not."""
    codes = new_recovery_codes()
    step_of = step_for(wanted.second_factor.get_secret_value())
    customer = session.customer
    async with remit.login_limits.sign_in(SignInAttempt(client, account_named(customer.email))) as outcome:
        try:
            fits = await remit.second_factors.confirm(customer.id, session.session_id, step_of, codes, client)
        except NotEnrolling as error:
            raise Problem("second_factor_exists") from error
        if not fits:
            await outcome.failed(customer)
            raise Problem("second_factor_invalid")
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(
    "/recovery-codes",
    operation_id="auth.second_factor.replace_recovery_codes",
    summary="Get other recovery codes",
    responses=problem_responses(*_OWN, "second_factor_invalid", "too_busy"),
)
async def replace_recovery_codes(
    wanted: SecondFactorCodeIn, session: CurrentSession, remit: Remit, client: CurrentClient
) -> RecoveryCodesOut:
    """The former ones are worth nothing any more."""
    await _check_own(wanted, session, remit, client)
    codes = new_recovery_codes()
    await remit.second_factors.replace_codes(session.customer.id, codes, client)
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(
    "/remove",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.second_factor.remove",
    summary="Remove my second factor",
    responses=problem_responses(*_OWN, "second_factor_invalid", "too_busy"),
)
async def remove(wanted: SecondFactorCodeIn, session: CurrentSession, remit: Remit, client: CurrentClient) -> None:
    """With a code of the app, or a recovery code."""
    await _check_own(wanted, session, remit, client)
    await remit.second_factors.remove(session.customer.id, client)


async def _check_own(wanted: SecondFactorCodeIn, session: Caller, remit: Services, client: Client) -> None:
    customer = session.customer
    async with remit.login_limits.sign_in(SignInAttempt(client, account_named(customer.email))) as outcome:
        if not await is_shown(customer.id, wanted.second_factor.get_secret_value(), remit, client):
            await outcome.failed(customer)
            raise Problem("second_factor_invalid")


async def is_shown(customer_id: CustomerId, typed: str, remit: Services, client: Client) -> bool:
    """Whether this is a code of the customer's second factor, which it uses up. Raises `too_many_attempts`."""
    check = await remit.second_factors.check(customer_id, typed, step_for(typed), client)
    if check.ruling is FactorRuling.WAIT:
        raise Problem("too_many_attempts", headers={"Retry-After": str(math.ceil(check.wait.total_seconds()))})
    return check.ruling is FactorRuling.SHOWN
