"""Who makes a request: the signed-in customer, and the client that they are at."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from api.http.problems import Problem
from api.limits.by_client import check_customer
from api.services import Remit
from customers.customer import Customer
from customers.sign_ins.networks import Client, client_at
from ledger.ids import SessionId


@dataclass(frozen=True, slots=True)
class Caller:
    """The customer who makes a request, and the session that it belongs to."""

    customer: Customer
    session_id: SessionId
    second_factor: bool


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


async def current_session(
    request: Request, remit: Remit, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The session of the request's bearer token. Raises a problem (401) without a valid one."""
    if sent is None:
        raise Problem("not_authenticated")
    claims = remit.tokens.read(sent.credentials)
    found = await remit.sessions.signed_in(claims.customer_id, claims.session_id)
    if found is None:
        raise Problem("not_authenticated", "The session has ended. Sign in again.")
    bind_contextvars(customer_id=found.customer.id)  # for the lines of this request
    await check_customer(request.scope, remit.rate_limits, found.customer.id)
    return Caller(found.customer, claims.session_id, found.second_factor)


async def current_client(request: Request) -> Client:
    """Where the request comes from: the address that a trusted proxy has seen, else the one that is connected."""
    return client_at(request.client.host if request.client else "")


async def user_agent(request: Request) -> str | None:
    """What the client says it is, for the list of sessions: printable characters only."""
    said = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))
    return said or None


CurrentClient = Annotated[Client, Depends(current_client)]
CurrentSession = Annotated[Caller, Depends(current_session)]
UserAgent = Annotated[str | None, Depends(user_agent)]
