"""The books as a whole: totals, audit, figures, and the record of what staff did."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.models import Limit
from api.models_admin import ActionOut, ActionsOut, AnyTransferOut, AuditOut, BooksOut, ReasonIn, StatsOut, TotalsOut
from api.operators import ACTING, LOOKING, Staff, may
from api.paging import place_in, place_of
from api.problems import problem_responses
from api.state import Remit
from ledger.ids import CustomerId
from ledger.operators import Action, Actor
from ledger.postgres.oversight import ActionSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"])

Subject = Query(pattern=r"^[a-z0-9_]{1,40}$")


@router.get("/books", summary="Totals per currency", responses=problem_responses(*LOOKING))
async def books(_: Staff, remit: Remit) -> BooksOut:
    """What customers hold, what is in transit and what the world owes or is owed, in one snapshot.

    Reads every posting: ask for it now and then, not every second.
    """
    return BooksOut(items=[TotalsOut.of(totals) for totals in await remit.oversight.books()])


@router.post("/audit", summary="Audit the books (admins)", responses=problem_responses(*ACTING, "audit_running"))
async def audit(wanted: ReasonIn, actor: Annotated[Actor, Depends(may(Action.RUN_AUDIT))], remit: Remit) -> AuditOut:
    """Checks every invariant over every entry, in one snapshot. Takes no lock, and may take minutes on large books."""
    return AuditOut.of(await remit.operators.audit(actor, wanted.reason))


@router.get("/stats", summary="Figures for operators", responses=problem_responses(*LOOKING))
async def stats(_: Staff, remit: Remit) -> StatsOut:
    """How transfers ended lately, what is not final and for how long, and what is in transit."""
    found = await remit.oversight.stats()
    if (oldest := found.oldest_not_final) is None:
        return StatsOut.of(found, None)
    return StatsOut.of(found, AnyTransferOut.told(oldest, remit.web_ui.workflow(oldest.workflow_id)))


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
    found = await remit.oversight.actions(wanted, limit + 1)
    page = found[:limit]
    more = place_of(page[-1].recorded_at, page[-1].id) if len(found) > limit else None
    return ActionsOut(items=[ActionOut.model_validate(one, from_attributes=True) for one in page], next_cursor=more)
