"""Who makes a request: the signed-in customer, and the client that they are at."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from api.auth.tokens import Claims
from api.http.problems import Problem
from api.limits.by_client import check_customer
from api.live.admission import Admitted
from api.ownership.owned import Reader
from api.services import Remit, Services
from customers.api_keys.api_key import PREFIX, Scope, id_in
from customers.customer import Customer
from customers.sign_ins.networks import Client, client_at
from database.trail.cause import CAUSE
from ledger.ids import ApiKeyId, CustomerId, SessionId
from staff.permissions import STAFF, Role


@dataclass(frozen=True, slots=True)
class Caller(Reader):
    """The customer who makes a request, by a session of theirs or by an API key.

    `scopes` are those of the key; None: a session, which may do everything. Who comes by a key is a plain customer,
    whatever role its owner has: a key does no work of staff. `lacks_second_factor`: staff have to show one, and this
    session has not. `valid_until`: when the access token ends; a key has no end.
    """

    customer: Customer
    own_session: SessionId | None = None
    lacks_second_factor: bool = False
    scopes: frozenset[Scope] | None = None
    api_key_id: ApiKeyId | None = None
    valid_until: datetime | None = None

    @property
    def role(self) -> Role:
        """The role that counts: whoever lacks a second factor is a customer for everything but adding one."""
        return Role.CUSTOMER if self.lacks_second_factor else Role(self.customer.role)

    @property
    def in_role(self) -> Customer:
        """The customer in the role that counts."""
        return replace(self.customer, role=self.role)

    @property
    def session_id(self) -> SessionId:
        """The session of a request that `current_session` has let in."""
        assert self.own_session is not None
        return self.own_session

    @property
    def sign_in(self) -> Admitted:
        """What they were let in by, for a stream that lasts no longer."""
        return Admitted(self.customer.id, self.own_session, self.api_key_id, self.valid_until)

    @property
    def reader_id(self) -> CustomerId:
        """The customer, whose own they may read."""
        return self.customer.id

    @property
    def is_staff(self) -> bool:
        """Whether they read as staff what a route shows to staff."""
        return self.role in STAFF


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


async def current_caller(
    request: Request, remit: Remit, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """Who makes the request: by a bearer token, an API key, or a browser's cookie. Raises a problem (401) otherwise."""
    caller = await _caller_of(request, remit, sent)
    bind_contextvars(customer_id=caller.customer.id)  # for the lines of this request
    if (cause := CAUSE.get()) is not None:
        cause.actor_id = caller.customer.id  # for the audit trail
    await check_customer(request.scope, remit.rate_limits, caller.customer.id)
    return caller


async def refuse_strangers(request: Request, remit: Services) -> None:
    """Raise a problem (401) unless somebody makes the request: for a route that reads a long body."""
    await _caller_of(request, remit, await _bearer(request))


async def current_session(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
    """The caller, who is signed in. Raises a problem (403) for an API key."""
    if caller.own_session is None:
        raise Problem("api_key_refused")
    return caller


def scoped(*scopes: Scope) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, who is signed in or has an API key with each of these scopes."""

    async def allowed(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
        for scope in scopes:
            if caller.scopes is not None and scope not in caller.scopes:
                raise Problem("scope_missing", f"This API key needs the scope {scope}.")
        return caller

    return allowed


async def _rail(caller: Annotated[Caller, Depends(scoped(Scope.RAILS_WRITE))]) -> Caller:
    """A rail, by its key. Raises a problem (403) for everybody who is signed in: people make no movements of rails."""
    if caller.scopes is None:
        raise Problem("forbidden", "Only the API key of a rail may do this.")
    return caller


async def _caller_of(request: Request, remit: Services, sent: HTTPAuthorizationCredentials | None) -> Caller:
    if sent is not None and sent.credentials.startswith(PREFIX):
        return await _by_key(sent.credentials, remit)
    return await _by_token(request, sent.credentials if sent else None, remit)


async def _by_key(key: str, remit: Services) -> Caller:
    found = await remit.api_keys.holder(key)
    if found is None:
        raise Problem("not_authenticated", "The API key is not valid, or was revoked.")
    # A rail's key ends with the role of the admin who made it.
    is_admins = Role(found.customer.role) is Role.ADMIN
    scopes = found.scopes if is_admins else found.scopes - {Scope.RAILS_WRITE}
    return Caller(replace(found.customer, role=Role.CUSTOMER), scopes=scopes, api_key_id=id_in(key))


async def caller_on_socket(socket: WebSocket, sent: str | None, remit: Services) -> Caller:
    """Who opens a WebSocket: by what they sent, or by the cookie of a page of ours. Raises a problem otherwise.

    A browser sends cookies for pages of others, too, and no header of a page's choice: the origin decides.
    """
    if sent is not None and sent.startswith(PREFIX):
        return await _by_key(sent, remit)
    if sent is None:
        remit.cookies.check_origin(socket)
    return await _in_session(_claims(socket, sent, remit), remit)


async def _by_token(request: Request, sent: str | None, remit: Services) -> Caller:
    claims = _claims(request, sent, remit)
    if sent is None:
        remit.cookies.check(request, remit.tokens, claims.session_id)
    return await _in_session(claims, remit)


def _claims(asked_by: HTTPConnection, sent: str | None, remit: Services) -> Claims:
    token = asked_by.cookies.get(remit.cookies.access) if sent is None else sent
    if token is None:
        raise Problem("not_authenticated")
    return remit.tokens.read(token)


async def _in_session(claims: Claims, remit: Services) -> Caller:
    found = await remit.sessions.signed_in(claims.customer_id, claims.session_id)
    if found is None:
        raise Problem("not_authenticated", "The session has ended. Sign in again.")
    lacks_second_factor = remit.staff_show_second_factor and not found.second_factor
    return Caller(found.customer, claims.session_id, lacks_second_factor, valid_until=claims.expires_at)


async def current_client(request: Request) -> Client:
    """Where the request comes from: the address that a trusted proxy has seen, else the one that is connected."""
    return client_at(request.client.host if request.client else "")


async def user_agent(request: Request) -> str | None:
    """What the client says it is, for the list of sessions: printable characters only."""
    agent = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))
    return agent or None


CurrentClient = Annotated[Client, Depends(current_client)]
CurrentCaller = Annotated[Caller, Depends(current_caller)]
CurrentSession = Annotated[Caller, Depends(current_session)]
AccountsRead = Annotated[Caller, Depends(scoped(Scope.ACCOUNTS_READ))]
AccountsWrite = Annotated[Caller, Depends(scoped(Scope.ACCOUNTS_WRITE))]
TransfersRead = Annotated[Caller, Depends(scoped(Scope.TRANSFERS_READ))]
TransfersWrite = Annotated[Caller, Depends(scoped(Scope.TRANSFERS_WRITE))]
DisputesRead = Annotated[Caller, Depends(scoped(Scope.DISPUTES_READ))]
EventsRead = Annotated[Caller, Depends(scoped(Scope.EVENTS_READ))]
RailsWrite = Annotated[Caller, Depends(_rail)]
NotificationsRead = Annotated[Caller, Depends(scoped(Scope.NOTIFICATIONS_READ))]
NotificationsWrite = Annotated[Caller, Depends(scoped(Scope.NOTIFICATIONS_WRITE))]
WebhooksRead = Annotated[Caller, Depends(scoped(Scope.WEBHOOKS_READ))]
WebhooksWrite = Annotated[Caller, Depends(scoped(Scope.WEBHOOKS_WRITE))]
StandingOrdersRead = Annotated[Caller, Depends(scoped(Scope.STANDING_ORDERS_READ))]
StandingOrdersWrite = Annotated[Caller, Depends(scoped(Scope.STANDING_ORDERS_WRITE))]
# Whoever says where events go reads them there.
EventsSend = Annotated[Caller, Depends(scoped(Scope.WEBHOOKS_WRITE, Scope.EVENTS_READ))]
DisputesWrite = Annotated[Caller, Depends(scoped(Scope.DISPUTES_WRITE))]
UserAgent = Annotated[str | None, Depends(user_agent)]
