"""Who may use the admin routes: staff may look, and each action asks for a role that includes it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends

from api.auth.sessions import CurrentSession
from api.http.problems import Problem
from staff.permissions import STAFF, Action, Actor, Role, check_allowed

READING = ("not_authenticated", "token_expired", "forbidden", "database_unavailable")
ACTING = (*READING, "invalid_json", "conflict_of_interest", "body_too_large", "validation_failed")
INTERVENING = (*ACTING, "transfer_not_found", "temporal_unavailable")


async def _staff(session: CurrentSession) -> Actor:
    """The signed-in operator or admin. The role is read with each request, so one that was taken ends at once."""
    actor = Actor(session.customer.id, Role(session.customer.role))
    if actor.role not in STAFF:
        raise Problem("forbidden")
    return actor


Staff = Annotated[Actor, Depends(_staff)]


def may(action: Action) -> Callable[[Actor], Awaitable[Actor]]:
    """A dependency: the signed-in actor, whose role includes this action."""

    async def allowed(actor: Staff) -> Actor:
        check_allowed(actor, action)
        return actor

    return allowed
