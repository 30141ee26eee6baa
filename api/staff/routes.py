"""The record of what staff did."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.staff.models import ActionFilters, ActionOut, ActionsOut
from ledger.ids import CustomerId
from staff.postgres.actions import ActionSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "/actions",
    operation_id="admin.actions.list",
    summary="Read what staff did",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def actions(
    reader: Staff,
    remit: Remit,
    wanted: Annotated[ActionFilters, Query()],
) -> ActionsOut:
    """Newest first. The record cannot be changed, by the database's own rules."""
    before = remit.cursors.read_place("actions", wanted.cursor)
    actor_id = CustomerId(wanted.actor) if wanted.actor else None
    search = ActionSearch(actor_id, wanted.subject, before, hidden_from=reader.id, within=wanted.span)
    page = await remit.actions.find(search, wanted.limit)
    return ActionsOut(
        items=[ActionOut.model_validate(one, from_attributes=True) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("actions", last.recorded_at, last.id)),
    )
