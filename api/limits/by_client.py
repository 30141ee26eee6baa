"""Counts requests by address before a route sees them, and says in each answer what is left."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem
from api.limits.rate_limits import Allowance, RateLimits
from customers.sign_ins.networks import client_at

# Load balancers, collectors and readers of problems' pages are not counted.
COUNTED = ("/v1/", "/graphql")

# Guessing and moving money: a POST here counts by the strict policy, too. Who sends one document after another tries
# out which numbers exist, and each is an inquiry that a provider bills.
STRICT = ("/v1/auth/", "/v1/transfers", "/v1/accounts", "/v1/customers/me/documents")


class RateLimited:
    """Pure ASGI middleware. It takes the limits from the application's services."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request of an address that has used its window up; pass on every other one."""
        if scope["type"] != "http" or not scope["path"].startswith(COUNTED) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        limits: RateLimits = scope["app"].state.remit.rate_limits
        network = client_at(scope["client"][0] if scope.get("client") else "").network
        allowance = await limits.take(limits.general, network)
        if allowance.taken and is_strict(scope):
            allowance = await limits.take(limits.strict, network)
        if not allowance.taken:
            await refusal(allowance).response()(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in allowance.headers().items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, tell)


def is_strict(scope: Scope) -> bool:
    """Whether the request signs in, shows a document or moves money."""
    path: str = scope["path"]
    return scope["method"] == "POST" and path.startswith(STRICT)


def refusal(allowance: Allowance) -> Problem:
    """The answer to a request too many."""
    return Problem("rate_limited", headers={"Retry-After": str(allowance.reset_seconds)} | allowance.headers())


async def check_customer(scope: Scope, limits: RateLimits, customer_id: str) -> None:
    """Count a request by the customer who signed in, whatever address they use. Raises the problem `rate_limited`."""
    if is_strict(scope):
        allowance = await limits.take(limits.strict, customer_id)
        if not allowance.taken:
            raise refusal(allowance)
