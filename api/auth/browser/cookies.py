"""Sessions of browsers: their tokens in cookies that no script reads, and what proves that a request is our page's."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.requests import HTTPConnection

from api.auth.tokens import TokenPair, Tokens
from api.http.problems import Problem
from ledger.ids import SessionId

CSRF_HEADER = "X-CSRF-Token"
REFRESH_PATH = "/v1/auth/browser"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names, attributes and checks of the cookies. `secure`: browsers send them by HTTPS only.

    `origins` are those of other hosts whose pages may use them, beside the API's own host.
    """

    secure: bool
    origins: frozenset[str]

    @property
    def access(self) -> str:
        """The name of the cookie with the access token. `__Host-`: no other host can set it."""
        return "__Host-remit_access" if self.secure else "remit_access"

    @property
    def refresh(self) -> str:
        """The name of the cookie with the refresh token, which only the routes for browsers get."""
        return "__Secure-remit_refresh" if self.secure else "remit_refresh"

    def set(self, response: Response, issued: TokenPair) -> None:
        """Keep the tokens in the browser, as long as they last."""
        kept = (
            (self.access, "/", issued.access_token, issued.expires_in),
            (self.refresh, REFRESH_PATH, issued.refresh_token, issued.refresh_expires_in),
        )
        for name, path, token, seconds in kept:
            response.set_cookie(
                name, token, max_age=seconds, path=path, secure=self.secure, httponly=True, samesite="strict"
            )

    def clear(self, response: Response) -> None:
        """Remove them from the browser."""
        for name, path in ((self.access, "/"), (self.refresh, REFRESH_PATH)):
            response.delete_cookie(name, path=path, secure=self.secure, httponly=True, samesite="strict")

    def check_origin(self, request: HTTPConnection) -> None:
        """Raises the problem `csrf_refused` for a request that a page of another origin has made."""
        origin = request.headers.get("origin")
        if origin is None:
            is_own = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        else:
            is_own = origin in self.origins or urlsplit(origin).netloc == request.headers.get("host")
        if not is_own:
            raise Problem("csrf_refused")

    def check(self, request: Request, tokens: Tokens, session_id: SessionId) -> None:
        """Raises `csrf_refused` unless a page of ours made a request that may change something.

        It must carry the session's own token in a header, which no page of another origin can send or read.
        """
        if request.method not in _SAFE_METHODS:
            self.check_origin(request)
            if not tokens.is_csrf_token(request.headers.get(CSRF_HEADER, ""), session_id):
                raise Problem("csrf_refused")
