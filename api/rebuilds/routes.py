"""Rebuilds of accounts from their entries, for staff: request one, follow it, and read what it found."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response, status

from api.http.fields import MAX_PAGE, Cursor, ListFilters, PageSize
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.rebuilds.models import (
    RebuildFindingsOut,
    RebuildIn,
    RebuildOut,
    RebuildsOut,
    RebuildSummaryOut,
    differences_in,
    left_in,
)
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from ledger.ids import RebuildId
from staff.permissions import Action, Actor
from staff.rebuilds.rebuild import Rebuild

router = APIRouter(prefix="/v1/admin/rebuilds", tags=["admin"], route_class=CheckedRoute)

_LIST = "rebuilds"


def location_of(rebuild: Rebuild) -> str:
    """Where it can be followed."""
    return f"{router.prefix}/{rebuild.id}"


@router.post(
    "",
    operation_id="admin.rebuilds.create",
    summary="Rebuild an account, or all accounts, from the entries (admins)",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(*ACTING, *KEYED, "account_not_found"),
)
async def create(
    wanted: RebuildIn,
    actor: Annotated[Actor, Depends(may(Action.REBUILD_ACCOUNT))],
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> RebuildSummaryOut:
    """A workflow looks at each account, and writes balance, version, head hash and counters where they are wrong.

    An account whose entries are not exactly as they were written is reported, and left as it is. Transfers go on
    meanwhile: an account is locked only while it is changed.
    """
    keep = answers.keep(RebuildSummaryOut.of, status.HTTP_202_ACCEPTED, location_of)
    requested = await remit.rebuilds.request(actor, wanted.account_id, wanted.reason, keep)
    await remit.temporal.start_rebuild(requested.id, requested.account_id or "all accounts")
    response.headers["Location"] = location_of(requested)
    return RebuildSummaryOut.of(requested)


@router.get(
    "",
    operation_id="admin.rebuilds.list",
    summary="List rebuilds",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def rebuilds(_: Staff, remit: Remit, wanted: Annotated[ListFilters, Query()]) -> RebuildsOut:
    """Newest first."""
    before = remit.cursors.read_place(_LIST, wanted.cursor)
    page = await remit.rebuilds.all_of(wanted.limit, before=before, within=wanted.span)
    return RebuildsOut(
        items=[RebuildSummaryOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(_LIST, last.created_at, last.id)),
    )


@router.get(
    "/{rebuild_id}",
    operation_id="admin.rebuilds.get",
    summary="Get a rebuild",
    responses=problem_responses(*READING, "rebuild_not_found"),
)
async def rebuild(rebuild_id: RebuildId, _: Staff, remit: Remit) -> RebuildOut:
    """How far it has come, and what it has found."""
    found, counts = await remit.rebuilds.find(rebuild_id)
    page = await remit.rebuilds.findings(rebuild_id, MAX_PAGE)
    return RebuildOut.with_findings(found, counts, page.items)


@router.get(
    "/{rebuild_id}/findings",
    operation_id="admin.rebuilds.findings",
    summary="List what a rebuild found",
    responses=problem_responses(*READING, "rebuild_not_found", "cursor_invalid", "validation_failed"),
)
async def findings(
    rebuild_id: RebuildId, _: Staff, remit: Remit, limit: PageSize = 20, cursor: Cursor = None
) -> RebuildFindingsOut:
    """The newest accounts first; `limit` counts accounts, and an account may have several differences."""
    of_list = f"{_LIST} {rebuild_id}"
    await remit.rebuilds.find(rebuild_id)
    page = await remit.rebuilds.findings(rebuild_id, limit, before=remit.cursors.read_place(of_list, cursor))
    return RebuildFindingsOut(
        differences=differences_in(page.items),
        left=left_in(page.items),
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(of_list, last.found_at, last.account_id)),
    )
