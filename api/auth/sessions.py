"""The signed-in customer of a request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.http.problems import Problem
from api.services import Remit
from customers.customer import Customer


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in customer and their access token."""

    customer: Customer
    token_id: str
    expires_at: datetime


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


async def current_session(
    remit: Remit, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Session:
    """The session of the request's bearer token. Raises a problem (401) without a valid one."""
    if sent is None:
        raise Problem("not_authenticated")
    customer_id, token_id, expires_at = remit.tokens.read(sent.credentials)
    customer = await remit.customers.signed_in(customer_id, token_id)
    if customer is None:
        raise Problem("not_authenticated", "The access token was revoked. Sign in again.")
    return Session(customer, token_id, expires_at)


CurrentSession = Annotated[Session, Depends(current_session)]
