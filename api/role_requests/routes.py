"""Requests of roles that wait for another admin: the list, and a no. The yes is the role itself, set once more."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.role_requests.models import RoleRequestFilters, RoleRequestOut, RoleRequestsOut
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from ledger.ids import ActionId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/role-requests", tags=["admin"], route_class=CheckedRoute)

_LIST = "role requests"


@router.get(
    "",
    operation_id="admin.role_requests.list",
    summary="List requests of roles that wait",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def role_requests(_: Staff, remit: Remit, wanted: Annotated[RoleRequestFilters, Query()]) -> RoleRequestsOut:
    """Newest first. Another admin approves one by `POST /v1/admin/customers/{id}/role` with the same role."""
    before = remit.cursors.read_place(_LIST, wanted.cursor)
    page = await remit.role_requests.waiting(wanted.limit, before)
    return RoleRequestsOut(
        items=[RoleRequestOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(_LIST, last.requested_at, last.id)),
    )


@router.post(
    "/{role_request_id}/reject",
    operation_id="admin.role_requests.reject",
    summary="Reject a request of a role (admins)",
    responses=problem_responses(*ACTING, *KEYED, "role_request_not_found"),
)
async def reject(
    role_request_id: ActionId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.REJECT_ROLE))],
    remit: Remit,
    answers: KeptAnswers,
) -> RoleRequestOut:
    """It waits no more, and the role stays as it is. One admin is enough, also whoever made the request."""
    keep = answers.keep(RoleRequestOut.of)
    return RoleRequestOut.of(await remit.roles.reject(actor, role_request_id, wanted.reason, keep))
