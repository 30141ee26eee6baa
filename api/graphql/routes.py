"""`/graphql`: queries and mutations by POST, and the same with subscriptions by WebSocket."""

from fastapi import APIRouter, Request, WebSocket
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from api.auth.sessions import CurrentCaller
from api.graphql.models import GraphqlIn, GraphqlOut
from api.graphql.resolver_context import GraphqlContext
from api.graphql.root_types import graphql_schema
from api.graphql.socket import GraphqlSockets
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit, Services

PATH = "/graphql"

router = APIRouter(tags=["notifications"], route_class=CheckedRoute)


@router.post(
    PATH,
    operation_id="graphql.execute",
    summary="Query by GraphQL",
    responses=problem_responses(
        "not_authenticated",
        "token_expired",
        "invalid_json",
        "body_too_large",
        "validation_failed",
        "database_unavailable",
    ),
)
async def execute(wanted: GraphqlIn, session: CurrentCaller, remit: Remit, request: Request) -> GraphqlOut:
    """One query or mutation: `getNotifications`, `markNotificationsRead`. An API key needs the scopes of their routes.

    Subscriptions need a WebSocket (graphql-transport-ws) at the same path. Errors stand in the answer, each with the
    code of a problem in its `extensions`.
    """
    try:
        result = await graphql_schema(introspection=shows_itself(request)).execute(
            wanted.query,
            variable_values=wanted.variables,
            context_value=GraphqlContext(remit, session),
            operation_name=wanted.operationName,
            allowed_operation_types={OperationType.QUERY, OperationType.MUTATION},
        )
    except (CannotGetOperationTypeError, InvalidOperationTypeError, MissingQueryError) as error:
        raise Problem(
            "validation_failed", "query: give one query or mutation, and its name if there are more."
        ) from error
    return GraphqlOut(data=result.data, errors=[dict(error.formatted) for error in result.errors or ()] or None)


@router.websocket(PATH)
async def subscribe(socket: WebSocket) -> None:
    """One socket. Who asks is known after its `connection_init`."""
    remit: Services = socket.app.state.remit
    await GraphqlSockets(graphql_schema(introspection=shows_itself(socket))).serve(socket, remit)


def shows_itself(asked: Request | WebSocket) -> bool:
    """Whether whoever asks may read the schema: where the contract is served, too."""
    return bool(getattr(asked.app.state, "docs", False))
