"""The trail of authentication, for admins."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.http.fields import ListFilters
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, may
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.postgres import AuthEventSearch
from ledger.ids import AuthEventId, CustomerId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)

Id = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class AuthEventFilters(ListFilters):
    """All filters of a request apply together."""

    customer_id: Id | None = None
    actor_id: Id | None = None
    kind: AuthEventKind | None = None


class AuthEventOut(BaseModel):
    """What happened at the door: who it is about, who was signed in, and from which address."""

    id: AuthEventId
    kind: AuthEventKind
    customer_id: CustomerId | None = Field(description="Whom it is about; null: nobody has the address that was typed")
    actor_id: CustomerId | None = Field(description="Who was signed in; null: nobody")
    client: str = Field(description="The address that the request came from", examples=["192.0.2.7"])
    facts: dict[str, Any] | None
    recorded_at: datetime


class AuthEventsOut(BaseModel):
    """A page of events, newest first."""

    items: list[AuthEventOut]
    next_cursor: str | None


@router.get(
    "/auth-events",
    operation_id="admin.auth_events.list",
    summary="Read the trail of authentication (admins)",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def auth_events(
    _: Annotated[Actor, Depends(may(Action.READ_AUTH_EVENTS))],
    remit: Remit,
    wanted: Annotated[AuthEventFilters, Query()],
) -> AuthEventsOut:
    """Newest first: sign-ins, failures and refusals, and which staff read which customer."""
    search = AuthEventSearch(
        customer_id=CustomerId(wanted.customer_id) if wanted.customer_id else None,
        actor_id=CustomerId(wanted.actor_id) if wanted.actor_id else None,
        kind=wanted.kind,
        before=remit.cursors.read_place("auth events", wanted.cursor),
        within=wanted.span,
    )
    page = await remit.sign_ins.find(search, wanted.limit)
    return AuthEventsOut(
        items=[AuthEventOut.model_validate(one, from_attributes=True) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("auth events", last.recorded_at, last.id)),
    )
