"""What resolvers get: who asks, and the services. And how a problem becomes an error of GraphQL."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketState
from strawberry.types import Info

from api.auth.sessions import Caller
from api.http.problems import Problem
from api.live.socket_connection import ABORT, CLOSE_SECONDS
from api.services import Services
from customers.api_keys.api_key import Scope
from database.connections import NotText, Unavailable


@dataclass(slots=True)
class GraphqlContext:
    """Of one request, or of one socket until it closes. A socket has no caller before its `connection_init`."""

    remit: Services
    caller: Caller | None = None
    socket: WebSocket | None = None
    connection_params: dict[str, Any] | None = None
    operations: int = 0
    held: ExitStack = field(default_factory=ExitStack)

    def reader(self, scope: Scope) -> Caller:
        """Who asks, by a session or by a key with this scope. Raises a problem."""
        if self.caller is None:
            raise Problem("not_authenticated")
        if self.caller.scopes is not None and scope not in self.caller.scopes:
            raise Problem("scope_missing", f"This API key needs the scope {scope}.")
        return self.caller

    async def close(self, code: int, reason: str) -> None:
        """Close the socket. A client that does not read is cut off after `CLOSE_SECONDS`."""
        socket = self.socket
        assert socket is not None
        if socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close(code, reason)
        except TimeoutError:
            socket.scope["state"][ABORT]()


GraphqlInfo = Info[GraphqlContext, None]


@contextmanager
def problems_as_errors() -> Iterator[None]:
    """Raise a problem as an error that names its code. Nothing else of an error reaches a client."""
    try:
        yield
    except Problem as problem:
        raise GraphQLError(problem.detail, extensions={"code": problem.code}) from problem
    except NotText as error:
        invalid = Problem("validation_failed", "Text must not contain a zero character.")
        raise GraphQLError(invalid.detail, extensions={"code": invalid.code}) from error
    except Unavailable as error:
        away = Problem("database_unavailable")
        raise GraphQLError(away.detail, extensions={"code": away.code}) from error
