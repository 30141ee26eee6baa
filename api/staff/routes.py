"""The record of what staff did."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.staff.models import ActionOut, ActionsOut
from ledger.ids import CustomerId
from staff.postgres.actions import ActionSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)

Subject = Query(pattern=r"^[a-z0-9_]{1,40}$")


@router.get(
    "/actions",
    operation_id="admin.actions.list",
    summary="Read what staff did",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def actions(
    reader: Staff,
    remit: Remit,
    actor: Annotated[str | None, Subject] = None,
    subject: Annotated[str | None, Subject] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ActionsOut:
    """Newest first. The record cannot be changed, by the database's own rules."""
    before = remit.cursors.read_place("actions", cursor)
    wanted = ActionSearch(CustomerId(actor) if actor else None, subject, before, hidden_from=reader.id)
    page = await remit.actions.find(wanted, limit)
    return ActionsOut(
        items=[ActionOut.model_validate(one, from_attributes=True) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("actions", last.recorded_at, last.id)),
    )
