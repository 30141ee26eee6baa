"""Who makes a request: the signed-in customer, and the client that they are at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from api.http.problems import Problem
from api.limits.by_client import check_customer
from api.services import Remit
from customers.customer import Customer
from customers.sign_ins.networks import Client, client_at


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in customer and their access token."""

    customer: Customer
    token_id: str
    expires_at: datetime


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


async def current_session(
    request: Request, remit: Remit, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Session:
    """The session of the request's bearer token. Raises a problem (401) without a valid one."""
    if sent is None:
        raise Problem("not_authenticated")
    claims = remit.tokens.read(sent.credentials)
    customer = await remit.customers.signed_in(claims.customer_id, claims.token_id, claims.generation)
    if customer is None:
        raise Problem("not_authenticated", "The access token was revoked. Sign in again.")
    bind_contextvars(customer_id=customer.id)  # for the lines of this request
    await check_customer(request.scope, remit.rate_limits, customer.id)
    return Session(customer, claims.token_id, claims.expires_at)


async def current_client(request: Request) -> Client:
    """Where the request comes from: the address that a trusted proxy has seen, else the one that is connected."""
    return client_at(request.client.host if request.client else "")


CurrentClient = Annotated[Client, Depends(current_client)]
CurrentSession = Annotated[Session, Depends(current_session)]
