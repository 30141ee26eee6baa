"""The record of what staff did."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor, place_in, place_of
from api.http.problems import problem_responses
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.staff.models import ActionOut, ActionsOut
from ledger.ids import CustomerId
from staff.postgres.actions import ActionSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"])

Subject = Query(pattern=r"^[a-z0-9_]{1,40}$")


@router.get(
    "/actions",
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
    wanted = ActionSearch(CustomerId(actor) if actor else None, subject, place_in(cursor), hidden_from=reader.id)
    page = await remit.actions.find(wanted, limit)
    return ActionsOut(
        items=[ActionOut.model_validate(one, from_attributes=True) for one in page.items],
        next_cursor=next_cursor(page, lambda last: place_of(last.recorded_at, last.id)),
    )
