"""Cases for staff: accounts that screening has flagged, why, and closing them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.screening.case_models import CaseFileOut, CaseFilters, CaseOut, CasesOut
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from ledger.ids import CaseId
from screening.postgres.cases import CaseSearch
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/cases", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "",
    operation_id="admin.cases.list",
    summary="Find cases",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def cases(
    reader: Staff,
    remit: Remit,
    wanted: Annotated[CaseFilters, Query()],
) -> CasesOut:
    """Newest first, without their flags. Nobody sees a case about an account of their own."""
    before = remit.cursors.read_place("cases", wanted.cursor)
    search = CaseSearch(wanted.state, wanted.account_id, before, within=wanted.span)
    page = await remit.cases.find_all(reader.id, search, wanted.limit)
    return CasesOut(
        items=[CaseOut.of_case(case) for case in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("cases", last.opened_at, last.id)),
    )


@router.get(
    "/{case_id}",
    operation_id="admin.cases.get",
    summary="Get a case with its flags",
    responses=problem_responses(*READING, "case_not_found"),
)
async def case(case_id: CaseId, reader: Staff, remit: Remit) -> CaseFileOut:
    """Each flag names the transfer, the rule, and the facts that it saw."""
    return CaseFileOut.of(await remit.cases.find(reader.id, case_id))


@router.post(
    "/{case_id}/close",
    operation_id="admin.cases.close",
    summary="Close a case",
    responses=problem_responses(*ACTING, *KEYED, "case_not_found", "case_closed"),
)
async def close(
    case_id: CaseId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.CLOSE_CASE))],
    remit: Remit,
    answers: KeptAnswers,
) -> CaseFileOut:
    """For good, with the reason. What is flagged afterwards opens another case."""
    return CaseFileOut.of(await remit.cases.close(actor, case_id, wanted.reason, answers.keep(CaseFileOut.of)))
