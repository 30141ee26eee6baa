"""WebSockets of GraphQL: the protocol graphql-transport-ws, with the house's sign-in and limits.

strawberry speaks the protocol. Here is who may connect, how much one socket may ask, and when it is closed.
"""

import asyncio
from datetime import timedelta
from time import perf_counter
from typing import Any, cast

import structlog
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage
from strawberry.types.unset import UNSET, UnsetType

from api.auth.sessions import caller_on_socket
from api.graphql.resolver_context import GraphqlContext
from api.graphql.root_types import TRY_AGAIN
from api.http.problems import Problem
from api.live.hub import SignInOver
from api.services import Services
from customers.sign_ins.networks import client_at
from database.connections import Unavailable

# How long a client may wait before it says who it is, and how many operations one socket may have open.
INIT_SECONDS = 5
MOST_OPERATIONS = 10

# Of graphql-transport-ws. A client may come again with another token.
FORBIDDEN, TOO_MANY_REQUESTS = 4403, 4429

_BEARER = "bearer "

log = structlog.get_logger()


class _Operations(BaseGraphQLTransportWSHandler[GraphqlContext, None]):
    """Counts each operation of a socket as a request of its address. What is no message of the protocol ends it."""

    async def handle_message(self, message: Message) -> None:
        if is_message(message):
            await super().handle_message(message)
        else:
            await self.handle_invalid_message("This is no message of graphql-transport-ws")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        socket = self.context.socket
        assert socket is not None
        if await is_allowed(socket, self.context.remit):
            self.context.operations += 1
            await super().handle_subscribe(message)
        else:
            await self.websocket.close(TOO_MANY_REQUESTS, "Too many requests")


class GraphqlSockets(GraphQL[GraphqlContext, None]):
    """The sockets of one application. Requests by POST have a route of their own."""

    graphql_transport_ws_handler_class = _Operations

    def __init__(self, schema: BaseSchema) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MOST_OPERATIONS,
        )

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """A page of any origin may connect with a token that it has. The cookie needs an origin of ours."""
        del request, origin
        return True

    async def serve(self, socket: WebSocket, remit: Services) -> None:
        """Carry one socket until it closes."""
        if not await is_allowed(socket, remit):
            await socket.close(TRY_AGAIN)  # before it is accepted: 403
            return
        context = GraphqlContext(remit, socket=socket)
        began = perf_counter()
        try:
            with context.held:
                await self.run(socket, context)
        finally:
            log.info(
                "socket",
                route=socket.scope["path"],
                customer_id=context.caller.customer.id if context.caller else None,
                operations=context.operations,
                seconds=round(perf_counter() - began, 1),
            )

    async def on_ws_connect(self, context: GraphqlContext) -> UnsetType | dict[str, object] | None:
        """Let in who is signed in, for as long as they are. Refused ones are closed with 4403."""
        socket, remit = context.socket, context.remit
        assert socket is not None
        loop = asyncio.get_running_loop()
        closing: list[asyncio.Task[None]] = []

        def close() -> None:
            if not closing:
                closing.append(loop.create_task(context.close(FORBIDDEN, SignInOver.reason)))

        try:
            caller = await caller_on_socket(socket, _token_in(context.connection_params, socket), remit)
            context.held.enter_context(remit.admission.admit(caller.sign_in, close))
        except Problem as problem:
            if problem.code == "too_many_streams":
                await socket.close(TRY_AGAIN, problem.detail)
                raise WebSocketDisconnected from problem
            raise ConnectionRejectionError({"code": problem.code}) from problem
        except Unavailable as error:
            await socket.close(TRY_AGAIN, "PostgreSQL does not answer")
            raise WebSocketDisconnected from error
        context.caller = caller
        return cast("UnsetType", UNSET)


def is_message(sent: object) -> bool:
    """Whether the parts that strawberry reads unseen have their types. A stranger's frame must be no error of ours."""
    if not isinstance(sent, dict) or not isinstance(sent.get("type"), str):
        return False
    if sent["type"] not in ("subscribe", "complete"):
        return True
    if not isinstance(sent.get("id"), str):
        return False
    payload = sent.get("payload")
    return sent["type"] == "complete" or (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )


async def is_allowed(socket: WebSocket, remit: Services) -> bool:
    """Whether the socket's address may ask for something more in its window."""
    network = client_at(socket.client.host if socket.client else "").network
    return (await remit.rate_limits.take(remit.rate_limits.general, network)).taken


def _token_in(sent: dict[str, Any] | None, socket: WebSocket) -> str | None:
    """The token or key of `connection_init`, as the header has it, or of the header. None: a browser has a cookie."""
    named = {name.lower(): value for name, value in (sent or {}).items() if isinstance(value, str)}
    given = named.get("authorization", socket.headers.get("authorization"))
    if given is None:
        return None
    token = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
    if not token:
        # Whoever names no token has not chosen the cookie: that needs an origin of ours.
        raise Problem("not_authenticated")
    return token
