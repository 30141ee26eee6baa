"""Signed tokens: of access and refresh, and codes that reach a customer by mail.

JWT (RFC 7519) with one pinned algorithm (RFC 8725). Each kind has an audience of its own, so none passes for another.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt

from api.http.problems import Problem
from customers.customer import Customer
from customers.sessions.session import Session
from ledger.ids import CustomerId, SessionId

ALGORITHM = "HS256"
ISSUER = "remit"
AUDIENCE = "remit-api"
REFRESH_AUDIENCE = "remit-refresh"
EMAIL_AUDIENCE = "remit-email"
PASSWORD_AUDIENCE = "remit-password"  # noqa: S105 - the kind of token

EMAIL_CODE_LASTS = timedelta(days=3)
PASSWORD_CODE_LASTS = timedelta(hours=1)

# Access tokens whose signatures are known to be good. A client sends the same one with each request.
MOST_VERIFIED = 1_000


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says. The session decides whether it still holds."""

    customer_id: CustomerId
    session_id: SessionId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a refresh token says: it is the one with this number of its session, with which it expires."""

    customer_id: CustomerId
    session_id: SessionId
    number: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client gets when its session begins and with each refresh."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Tokens:
    """Issues and reads tokens. The first key signs, and every key verifies; a token names its key (`kid`).

    `leeway` is how far the clocks of two processes may be apart: a token from a clock that is ahead is taken, and one
    that has expired is taken for as long.
    """

    def __init__(self, keys: Sequence[str], seconds: int, leeway: timedelta = timedelta(0)) -> None:
        self._keys = {key_id(key): key for key in keys}
        self._current = next(iter(self._keys))
        self._leeway = leeway
        self._verified = lru_cache(MOST_VERIFIED)(self._verify)
        self.seconds = seconds

    def issue(self, session: Session) -> TokenPair:
        """The present tokens of this session. Neither outlives it."""
        now = datetime.now(UTC)
        access_ends = min(now + timedelta(seconds=self.seconds), session.expires_at)
        return TokenPair(
            self.issue_access(session.customer_id, session.id, access_ends),
            _seconds(access_ends - now),
            self._signed(
                REFRESH_AUDIENCE,
                session.customer_id,
                session.expires_at,
                {"sid": session.id, "num": session.refreshes},
            ),
            _seconds(session.expires_at - now),
        )

    def issue_access(self, customer_id: CustomerId, session_id: SessionId, expires_at: datetime) -> str:
        """An access token of this session alone."""
        return self._signed(AUDIENCE, customer_id, expires_at, {"sid": session_id})

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
        claims = self._read(token, AUDIENCE, "sid")
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        return Claims(CustomerId(claims["sub"]), SessionId(claims["sid"]), ends)

    def read_refresh(self, token: str) -> RefreshClaims | None:
        """What the refresh token says. None: it is none of ours. Raises a problem (401) for one that has expired."""
        try:
            claims = self._read(token, REFRESH_AUDIENCE, "sid", "num")
        except jwt.ExpiredSignatureError as error:
            raise Problem("refresh_token_invalid") from error
        except jwt.InvalidTokenError:
            return None
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        return RefreshClaims(CustomerId(claims["sub"]), SessionId(claims["sid"]), int(claims["num"]), ends)

    def csrf_token(self, session_id: SessionId) -> str:
        """What a page of ours shows with this session's cookies. It lets nobody in by itself."""
        return _csrf(self._keys[self._current], session_id)

    def is_csrf_token(self, sent: str, session_id: SessionId) -> bool:
        """Whether it belongs to this session, under any of the keys."""
        return any(hmac.compare_digest(sent.encode(), _csrf(key, session_id).encode()) for key in self._keys.values())

    def issue_email_code(self, customer: Customer) -> tuple[str, datetime]:
        """A code that shows that mail to this customer's present address reaches them, and when it expires."""
        expires_at = datetime.now(UTC) + EMAIL_CODE_LASTS
        return self._signed(EMAIL_AUDIENCE, customer.id, expires_at, {"eml": _digest(customer.email)}), expires_at

    def check_email_code(self, code: str, customer: Customer) -> None:
        """Raises a problem unless the code was issued for this customer and their present address."""
        try:
            claims = self._read(code, EMAIL_AUDIENCE, "eml")
        except jwt.InvalidTokenError as error:
            raise Problem("verification_code_invalid") from error
        if claims["sub"] != customer.id or not hmac.compare_digest(str(claims["eml"]), _digest(customer.email)):
            raise Problem("verification_code_invalid")

    def issue_password_code(self, customer: Customer) -> str:
        """A code to set another password instead of this customer's present one. It works once: it names that one."""
        expires_at = datetime.now(UTC) + PASSWORD_CODE_LASTS
        claims = {"pwd": _digest(customer.password_hash), "gen": customer.session_generation}
        return self._signed(PASSWORD_AUDIENCE, customer.id, expires_at, claims)

    def read_password_code(self, code: str) -> CustomerId:
        """Whose password the code sets, before it is compared. Raises a problem for a code that is not ours."""
        try:
            return CustomerId(self._read(code, PASSWORD_AUDIENCE, "pwd", "gen")["sub"])
        except jwt.InvalidTokenError as error:
            raise Problem("reset_code_invalid") from error

    def check_password_code(self, code: str, customer: Customer) -> None:
        """Raises a problem unless the code was issued for this customer and their present password.

        Whatever ends all their sessions ends the code as well.
        """
        try:
            claims = self._read(code, PASSWORD_AUDIENCE, "pwd", "gen")
        except jwt.InvalidTokenError as error:
            raise Problem("reset_code_invalid") from error
        expected = (customer.id, _digest(customer.password_hash), customer.session_generation)
        if (claims["sub"], claims["pwd"], claims["gen"]) != expected:
            raise Problem("reset_code_invalid")

    def _signed(self, audience: str, customer_id: CustomerId, expires_at: datetime, claims: dict[str, Any]) -> str:
        common = {"iss": ISSUER, "aud": audience, "sub": customer_id, "iat": datetime.now(UTC), "exp": expires_at}
        return jwt.encode(common | claims, self._keys[self._current], ALGORITHM, headers={"kid": self._current})

    def _read(self, token: str, audience: str, *required: str) -> dict[str, Any]:
        key = self._keys.get(str(jwt.get_unverified_header(token).get("kid", self._current)))
        if key is None:
            raise jwt.InvalidTokenError("no key has this name")
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=audience,
            leeway=self._leeway,
            options={"require": ["iss", "aud", "sub", "iat", "exp", *required]},
        )


def key_id(key: str) -> str:
    """The name of a signing key, which tells nothing of it."""
    return hashlib.sha256(b"remit signing key " + key.encode()).hexdigest()[:8]


def _csrf(key: str, session_id: SessionId) -> str:
    return hmac.digest(key.encode(), f"remit csrf {session_id}".encode(), hashlib.sha256).hex()


def _seconds(left: timedelta) -> int:
    return max(round(left.total_seconds()), 0)


def _digest(text: str) -> str:
    """The code is shown on screens and sent by mail: it repeats neither the address nor the password's hash."""
    return hashlib.sha256(text.encode()).hexdigest()
