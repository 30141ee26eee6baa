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
    """Makes and reads access tokens. A token ends by its time or by logging out, whichever comes first."""

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
        """Whose it is, its id and its end. Raises a problem for anything but a token of ours that still holds."""
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
