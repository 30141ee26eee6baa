"""Mutations by WebSocket leave a record each, like requests by HTTP: a socket is one request that may change much."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from graphql import GraphQLError
from starlette.websockets import WebSocket
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from api.graphql.resolver_context import GraphqlContext
from api.http.exchange import new_request_id
from api.http.problems import PROBLEMS
from api.trail.recorder import MOST_BYTES
from customers.sign_ins.networks import client_at
from database.trail.cause import CAUSE, Cause
from trail.request import LONGEST_HEADER, MOST_HEADERS, ReceivedRequest

# As it stands in the record, where a request has its method.
METHOD = "WEBSOCKET"


class MutationRecords(SchemaExtension):
    """Hands each mutation of a socket to the queue of the audit trail, also one that was refused or cut off.

    It has a request id of its own, which what it changes has on the trail, too.
    """

    def on_operation(self) -> Iterator[None]:
        """Called once for each operation, around all of it."""
        context: GraphqlContext = self.execution_context.context
        socket = context.socket
        if socket is None:  # a request by POST is recorded with all others
            yield
            return
        cause = Cause(new_request_id(), client_at(socket.client.host if socket.client else "").address)
        cause.actor_id = context.caller.customer.id if context.caller else None
        CAUSE.set(cause)  # in the task of this operation alone
        received_at, started = datetime.now(UTC), time.perf_counter()
        try:
            yield
        finally:
            if _changes(self.execution_context):
                context.remit.request_queue.put(
                    _request_of(self.execution_context, socket, cause, received_at, time.perf_counter() - started)
                )


def _request_of(
    operation: ExecutionContext, socket: WebSocket, cause: Cause, received_at: datetime, seconds: float
) -> ReceivedRequest:
    body = _sent(operation)
    return ReceivedRequest(
        received_at=received_at,
        request_id=cause.request_id,
        method=METHOD,
        route=socket.scope["path"],
        path=socket.scope["path"],
        status=_status(operation),
        milliseconds=round(seconds * 1000),
        actor_id=cause.actor_id,
        address=cause.address or "",
        headers=[(name[:LONGEST_HEADER], value[:LONGEST_HEADER]) for name, value in socket.headers.raw[:MOST_HEADERS]],
        body=body[:MOST_BYTES],
        body_bytes=len(body),
        caused=[],
    )


def _changes(operation: ExecutionContext) -> bool:
    try:
        return operation.operation_type is OperationType.MUTATION
    except RuntimeError:  # it could not be read, or names none of its operations
        return False


def _sent(operation: ExecutionContext) -> bytes:
    """What a request by POST would have had as its body."""
    sent = {"query": operation.query, "variables": operation.variables, "operationName": operation.operation_name}
    try:
        return json.dumps(sent).encode()
    except RecursionError:
        return b"nested too deep"


def _status(operation: ExecutionContext) -> int:
    """That of the first problem; 200 without one; 500 where nothing was answered."""
    errors: list[GraphQLError] = operation.pre_execution_errors or []  # strawberry has all errors here, later ones too
    if errors:
        return PROBLEMS[_code(errors[0])].status
    return 200 if operation.result is not None else PROBLEMS["internal_error"].status


def _code(error: GraphQLError) -> str:
    if error.extensions and (code := error.extensions.get("code")) in PROBLEMS:
        return str(code)
    return "validation_failed" if error.original_error is None else "internal_error"
