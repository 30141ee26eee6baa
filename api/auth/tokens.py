"""Access tokens: JWT (RFC 7519) with one pinned algorithm (RFC 8725)."""

import secrets
from datetime import UTC, datetime, timedelta

import jwt

from api.http.problems import Problem
from ledger.ids import CustomerId

ALGORITHM = "HS256"
ISSUER = "remit"
AUDIENCE = "remit-api"


class Tokens:
    """Issues and reads access tokens. A token ends when it expires or at sign-out, whichever comes first."""

    def __init__(self, secret: str, seconds: int) -> None:
        self._secret = secret
        self.seconds = seconds

    def issue(self, customer_id: CustomerId) -> str:
        """A new token for this customer."""
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": customer_id,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + timedelta(seconds=self.seconds),
        }
        return jwt.encode(claims, self._secret, ALGORITHM)

    def read(self, token: str) -> tuple[CustomerId, str, datetime]:
        """The customer, the token's id and its expiry. Raises a problem (401) for an expired or foreign token."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["iss", "aud", "sub", "jti", "iat", "exp"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Problem("token_expired") from error
        except jwt.InvalidTokenError as error:
            raise Problem("not_authenticated", "The access token is not valid. Sign in again.") from error
        return CustomerId(claims["sub"]), claims["jti"], datetime.fromtimestamp(claims["exp"], UTC)
