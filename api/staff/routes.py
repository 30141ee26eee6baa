"""The record of what staff did."""

from typing import Annotated

from fastapi import Query

from api.books.routes import router
from api.http.fields import Limit
from api.http.paging import place_in, place_of
from api.http.problems import problem_responses
from api.services import Remit
from api.staff.authorization import LOOKING, Staff
from api.staff.models import ActionOut, ActionsOut
from ledger.ids import CustomerId
from staff.postgres.action_log import ActionSearch

Subject = Query(pattern=r"^[a-z0-9_]{1,40}$")


@router.get(
    "/actions",
    summary="Read what staff did",
    responses=problem_responses(*LOOKING, "cursor_invalid", "validation_failed"),
)
async def actions(
    _: Staff,
    remit: Remit,
    actor: Annotated[str | None, Subject] = None,
    subject: Annotated[str | None, Subject] = None,
    limit: Annotated[Limit, Query()] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
) -> ActionsOut:
    """Newest first. The record cannot be changed, by the database's own rules."""
    wanted = ActionSearch(CustomerId(actor) if actor else None, subject, place_in(cursor))
    found = await remit.action_log.find(wanted, limit + 1)
    page = found[:limit]
    more = place_of(page[-1].recorded_at, page[-1].id) if len(found) > limit else None
    return ActionsOut(items=[ActionOut.model_validate(one, from_attributes=True) for one in page], next_cursor=more)
