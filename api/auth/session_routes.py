"""A customer's sessions: the next tokens, the list, and their end."""

from fastapi import APIRouter, status

from api.auth.models import RefreshIn, SessionOut, SessionsOut, TokenOut
from api.auth.sessions import CurrentClient, CurrentSession
from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit, Services
from customers.sessions.session import RefreshRuling, Session
from customers.sign_ins.backoff import account_named
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import SignInAttempt
from ledger.ids import SessionId

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=CheckedRoute)

_OWN = ("not_authenticated", "token_expired", "database_unavailable")

# All forged refresh tokens of one client count together, as wrong passwords for this account, which nobody has.
_FORGED = account_named("refresh token")


@router.post(
    "/refresh",
    operation_id="auth.refresh",
    summary="Get the next tokens of a session",
    responses=problem_responses(
        "invalid_json",
        "refresh_token_invalid",
        "refresh_token_reused",
        "validation_failed",
        "too_many_attempts",
        "too_busy",
        "database_unavailable",
    ),
)
async def refresh(wanted: RefreshIn, remit: Remit, client: CurrentClient) -> TokenOut:
    """A refresh token works once: its answer holds the next one, and another access token.

    Repeat the request if its answer was lost: for a short time the same token gets the same next one. Used later, it is
    taken for stolen, and the session ends for everybody who holds its tokens.
    """
    return TokenOut.of(remit.tokens.issue(await refreshed(wanted.refresh_token.get_secret_value(), remit, client)))


async def refreshed(token: str, remit: Services, client: Client) -> Session:
    """The session of this refresh token, with the number of the next one. Raises a problem (401) if it has none."""
    claims = remit.tokens.read_refresh(token)
    if claims is None:
        async with remit.login_limits.sign_in(SignInAttempt(client, _FORGED)) as outcome:
            await outcome.failed(None)
        raise Problem("refresh_token_invalid")
    found = await remit.sessions.refresh(claims.customer_id, claims.session_id, claims.number, client)
    if found.ruling is RefreshRuling.REUSED:
        raise Problem("refresh_token_reused")
    if found.ruling is RefreshRuling.OVER or found.session is None:
        raise Problem("refresh_token_invalid")
    return found.session


@router.get(
    "/sessions",
    operation_id="auth.sessions.list",
    summary="List my sessions",
    responses=problem_responses(*_OWN, "cursor_invalid", "validation_failed"),
)
async def sessions(session: CurrentSession, remit: Remit, limit: PageSize = 20, cursor: Cursor = None) -> SessionsOut:
    """Those that have not ended, newest first. `current` is the one that asks."""
    before = remit.cursors.read_place("sessions", cursor)
    page = await remit.sessions.of_customer(session.customer, before, limit)
    return SessionsOut(
        items=[SessionOut.of(one, session.session_id) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("sessions", last.started_at, last.id)),
    )


@router.delete(
    "/sessions",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.sessions.end_all",
    summary="End all my sessions",
    responses=problem_responses(*_OWN),
)
async def end_all(session: CurrentSession, remit: Remit, client: CurrentClient) -> None:
    """The one that asks, too: every process refuses their tokens from now on. API keys stay as they are."""
    await remit.sessions.end_all(session.customer.id, client)


@router.delete(
    "/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="auth.sessions.end",
    summary="End one of my sessions",
    responses=problem_responses(*_OWN, "session_not_found"),
)
async def end(session_id: SessionId, session: CurrentSession, remit: Remit, client: CurrentClient) -> None:
    """Every process refuses its tokens from now on. A repeat is answered the same."""
    ended = await remit.sessions.end(session.customer.id, session_id, client, AuthEventKind.SESSION_ENDED)
    if ended is None:
        raise Problem("session_not_found")
