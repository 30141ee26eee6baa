"""Access tokens, and codes that verify an address: JWT (RFC 7519) with one pinned algorithm (RFC 8725)."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt

from api.http.problems import Problem
from customers.customer import Customer
from ledger.ids import CustomerId

ALGORITHM = "HS256"
ISSUER = "remit"
AUDIENCE = "remit-api"
EMAIL_AUDIENCE = "remit-email"

EMAIL_CODE_LASTS = timedelta(days=3)

# Access tokens whose signatures are known to be good. A client sends the same one with each request.
MOST_VERIFIED = 1_000


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says. It belongs to a `generation` of its customer's sessions, which end together."""

    customer_id: CustomerId
    token_id: str
    generation: int
    expires_at: datetime


class Tokens:
    """Issues and reads access tokens. A token ends when it expires or at sign-out, whichever comes first.

    `leeway` is how far the clocks of two processes may be apart: a token from a clock that is ahead is taken, and one
    that has expired is taken for as long.
    """

    def __init__(self, secret: str, seconds: int, leeway: timedelta = timedelta(0)) -> None:
        self._secret = secret
        self._leeway = leeway
        self._verified = lru_cache(MOST_VERIFIED)(self._verify)
        self.seconds = seconds

    def issue(self, customer_id: CustomerId, generation: int = 0) -> str:
        """A new token for this customer, of this generation of their sessions."""
        return self._signed(
            AUDIENCE,
            customer_id,
            timedelta(seconds=self.seconds),
            {"jti": secrets.token_urlsafe(16), "gen": generation},
        )

    def read(self, token: str) -> Claims:
        """What the token says. Raises a problem (401) for an expired or foreign token."""
        try:
            claims = self._verified(token)
        except jwt.ExpiredSignatureError as error:
            raise Problem("token_expired") from error
        except jwt.InvalidTokenError as error:
            raise Problem("not_authenticated", "The access token is not valid. Sign in again.") from error
        if claims.expires_at <= datetime.now(UTC) - self._leeway:  # since it was verified
            raise Problem("token_expired")
        return claims

    def _verify(self, token: str) -> Claims:
        claims = self._read(token, AUDIENCE, "jti", "gen")
        return Claims(
            CustomerId(claims["sub"]),
            claims["jti"],
            int(claims["gen"]),
            datetime.fromtimestamp(claims["exp"], UTC),
        )

    def issue_email_code(self, customer: Customer) -> tuple[str, datetime]:
        """A code that shows that mail to this customer's present address reaches them, and when it expires."""
        code = self._signed(EMAIL_AUDIENCE, customer.id, EMAIL_CODE_LASTS, {"eml": _digest(customer.email)})
        return code, datetime.now(UTC) + EMAIL_CODE_LASTS

    def check_email_code(self, code: str, customer: Customer) -> None:
        """Raises a problem unless the code was issued for this customer and their present address."""
        try:
            claims = self._read(code, EMAIL_AUDIENCE, "eml")
        except jwt.InvalidTokenError as error:
            raise Problem("verification_code_invalid") from error
        if claims["sub"] != customer.id or not hmac.compare_digest(str(claims["eml"]), _digest(customer.email)):
            raise Problem("verification_code_invalid")

    def _signed(self, audience: str, customer_id: CustomerId, lasts: timedelta, claims: dict[str, Any]) -> str:
        now = datetime.now(UTC)
        common = {"iss": ISSUER, "aud": audience, "sub": customer_id, "iat": now, "exp": now + lasts}
        return jwt.encode(common | claims, self._secret, ALGORITHM)

    def _read(self, token: str, audience: str, *required: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            self._secret,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=audience,
            leeway=self._leeway,
            options={"require": ["iss", "aud", "sub", "iat", "exp", *required]},
        )


def _digest(email: str) -> str:
    """The code is shown on screens and sent by mail: it does not repeat the address."""
    return hashlib.sha256(email.encode()).hexdigest()
