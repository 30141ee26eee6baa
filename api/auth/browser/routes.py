"""Sign-in for pages in browsers: their tokens stay in cookies that no script reads."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response, status
from pydantic import BaseModel, Field

from api.auth.browser.cookies import CSRF_HEADER, REFRESH_PATH
from api.auth.models import LoginIn
from api.auth.routes import LOGIN_PROBLEMS, session_of
from api.auth.session_routes import refreshed
from api.auth.sessions import CurrentClient, UserAgent
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit, Services
from customers.sessions.session import Session
from customers.sign_ins.events import AuthEventKind
from ledger.ids import CustomerId, SessionId

router = APIRouter(prefix=REFRESH_PATH, tags=["auth"], route_class=CheckedRoute)

CsrfHeader = Annotated[str | None, Header(alias=CSRF_HEADER, description="Of the last answer")]


class BrowserSessionOut(BaseModel):
    """What a page needs of its session. The tokens are in cookies."""

    customer_id: CustomerId = Field(description="Who is signed in: another tab may have signed in as somebody else")
    csrf_token: str = Field(description=f"Send it as `{CSRF_HEADER}` with every request that changes something")
    expires_in: int = Field(description="Seconds until the next refresh is due", examples=[900])
    refresh_expires_in: int = Field(description="Seconds until the session ends", examples=[259_200])


@router.post(
    "/login",
    operation_id="auth.browser.login",
    summary="Sign in from a page in a browser",
    responses=problem_responses(*LOGIN_PROBLEMS, "csrf_refused"),
)
async def browser_login(
    wanted: LoginIn, request: Request, response: Response, remit: Remit, client: CurrentClient, agent: UserAgent
) -> BrowserSessionOut:
    """Sets the tokens as cookies: HttpOnly, Secure, SameSite=Strict. Every other route takes them instead of `Bearer`.

    With them, a request that changes something also needs the header `X-CSRF-Token`.
    """
    remit.cookies.check_origin(request)
    return _kept(await session_of(wanted, remit, client, agent), response, remit)


@router.get(
    "/session",
    operation_id="auth.browser.session",
    summary="Find the session of a page that was loaded again",
    responses=problem_responses("csrf_refused", "refresh_token_invalid", "database_unavailable"),
)
async def browser_session(request: Request, remit: Remit) -> BrowserSessionOut:
    """What the sign-in answered, as it is now: a page keeps no token, so it asks for it after a reload.

    It goes by the cookie of the refresh token and uses nothing up. `expires_in` is 0 where a refresh is due.
    """
    remit.cookies.check_origin(request)
    token = request.cookies.get(remit.cookies.refresh)
    claims = remit.tokens.read_refresh(token) if token else None
    if claims is None or await remit.sessions.signed_in(claims.customer_id, claims.session_id) is None:
        raise Problem("refresh_token_invalid")
    return BrowserSessionOut(
        customer_id=claims.customer_id,
        csrf_token=remit.tokens.csrf_token(claims.session_id),
        expires_in=_seconds_left(request, remit, claims.session_id),
        refresh_expires_in=_seconds_until(claims.expires_at),
    )


@router.post(
    "/refresh",
    operation_id="auth.browser.refresh",
    summary="Get the next tokens of a browser's session",
    responses=problem_responses(
        "csrf_refused",
        "refresh_token_invalid",
        "refresh_token_reused",
        "too_many_attempts",
        "too_busy",
        "database_unavailable",
    ),
)
async def browser_refresh(
    request: Request, response: Response, remit: Remit, client: CurrentClient, _documented: CsrfHeader = None
) -> BrowserSessionOut:
    """The same as `POST /v1/auth/refresh`, from the cookie and into the cookies."""
    token = request.cookies.get(remit.cookies.refresh)
    if token is None:
        raise Problem("refresh_token_invalid")
    claims = remit.tokens.read_refresh(token)
    if claims is not None:
        remit.cookies.check(request, remit.tokens, claims.session_id)
    return _kept(await refreshed(token, remit, client), response, remit)


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.browser.logout",
    summary="Sign out from a page in a browser",
    responses=problem_responses("csrf_refused", "database_unavailable"),
)
async def browser_logout(
    request: Request, response: Response, remit: Remit, client: CurrentClient, _documented: CsrfHeader = None
) -> None:
    """The session ends and the browser forgets its cookies, also after its access token has expired.

    A browser that has no session, or no longer, is answered the same.
    """
    remit.cookies.check_origin(request)
    token = request.cookies.get(remit.cookies.refresh)
    try:
        claims = remit.tokens.read_refresh(token) if token else None
    except Problem:
        claims = None  # it has expired, together with its session
    if claims is not None:
        remit.cookies.check(request, remit.tokens, claims.session_id)
        await remit.sessions.end(claims.customer_id, claims.session_id, client, AuthEventKind.SIGNED_OUT)
    remit.cookies.clear(response)


def _kept(session: Session, response: Response, remit: Services) -> BrowserSessionOut:
    issued = remit.tokens.issue(session)
    remit.cookies.set(response, issued)
    return BrowserSessionOut(
        customer_id=session.customer_id,
        csrf_token=remit.tokens.csrf_token(session.id),
        expires_in=issued.expires_in,
        refresh_expires_in=issued.refresh_expires_in,
    )


def _seconds_left(request: Request, remit: Services, session_id: SessionId) -> int:
    """Until the cookie's access token expires. 0: there is none, or it is another session's."""
    try:
        access = remit.tokens.read(request.cookies.get(remit.cookies.access, ""))
    except Problem:
        return 0
    return _seconds_until(access.expires_at) if access.session_id == session_id else 0


def _seconds_until(moment: datetime) -> int:
    return max(int((moment - datetime.now(UTC)).total_seconds()), 0)
