"""Who may use the admin routes: staff may look, and each action asks for a role that includes it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from api.auth.sessions import CurrentClient, CurrentSession
from api.http.problems import Problem
from api.services import Remit
from staff.permissions import STAFF, Action, Actor, NotAllowed, Role, check_allowed

READING = ("not_authenticated", "token_expired", "forbidden", "second_factor_missing", "database_unavailable")
ACTING = (*READING, "invalid_json", "conflict_of_interest", "body_too_large", "validation_failed")
INTERVENING = (*ACTING, "transfer_not_found", "temporal_unavailable")


async def _staff(session: CurrentSession, client: CurrentClient, remit: Remit, request: Request) -> Actor:
    """The signed-in operator or admin. The role is read with each request, so one that was taken ends at once."""
    actor = Actor(session.customer.id, Role(session.customer.role))
    if actor.role not in STAFF:
        await remit.sign_ins.record_no_access(client, actor.id, _route(request))
        raise Problem("forbidden")
    if session.lacks_second_factor:
        raise Problem("second_factor_missing")
    return actor


Staff = Annotated[Actor, Depends(_staff)]


def may(action: Action) -> Callable[..., Awaitable[Actor]]:
    """A dependency: the signed-in actor, whose role includes this action."""

    async def allowed(actor: Staff, client: CurrentClient, remit: Remit, request: Request) -> Actor:
        try:
            check_allowed(actor, action)
        except NotAllowed:
            await remit.sign_ins.record_no_access(client, actor.id, _route(request))
            raise
        return actor

    return allowed


def _route(request: Request) -> str:
    """The route's template, without the ids of what it was about."""
    return str(getattr(request.scope.get("route"), "path", ""))
