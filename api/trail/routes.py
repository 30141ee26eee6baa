"""The audit trail, for staff."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff, may
from api.trail.models import (
    AuditRecordFilters,
    AuditRecordOut,
    AuditRecordsOut,
    RequestRecordFilters,
    RequestRecordOut,
    RequestRecordsOut,
)
from staff.permissions import Action, Actor, Role
from trail.postgres.records import AuditSearch
from trail.postgres.requests import RequestSearch

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "/audit-records",
    operation_id="admin.audit_records.list",
    summary="Read the audit trail",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def audit_records(
    reader: Staff, remit: Remit, filters: Annotated[AuditRecordFilters, Query()]
) -> AuditRecordsOut:
    """Newest first: every state change and every refused attempt. Records of sign-ins are for admins.

    No record can be changed, by the database's own rules, and `remit verify` shows one that was.
    """
    before_id = int(remit.cursors.read("audit records", filters.cursor)[0]) if filters.cursor is not None else None
    wanted = AuditSearch(
        actor_id=filters.actor,
        kind=filters.kind,
        outcome=filters.outcome,
        subject=filters.subject,
        transfer_id=filters.transfer_id,
        request_id=filters.request_id,
        created_after=filters.created_after,
        created_before=filters.created_before,
        before_id=before_id,
        hidden_from=reader.id,
        without_sign_ins=reader.role is not Role.ADMIN,
    )
    page = await remit.audit_records.find(wanted, filters.limit)
    return AuditRecordsOut(
        items=[AuditRecordOut.model_validate(one, from_attributes=True) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign("audit records", last.id)),
    )


@router.get(
    "/request-records",
    operation_id="admin.request_records.list",
    summary="Read which requests were made (admins)",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def request_records(
    _: Annotated[Actor, Depends(may(Action.READ_REQUEST_RECORDS))],
    remit: Remit,
    filters: Annotated[RequestRecordFilters, Query()],
) -> RequestRecordsOut:
    """Newest first: every POST, PATCH, PUT and DELETE within the rate limits, about a second after its answer.

    Each mutation on a WebSocket is one, too, with the method `WEBSOCKET` and the status that its problem stands for.
    """
    before_id = int(remit.cursors.read("request records", filters.cursor)[0]) if filters.cursor is not None else None
    wanted = RequestSearch(
        actor_id=filters.actor,
        method=filters.method,
        route=filters.route,
        status=filters.status,
        request_id=filters.request_id,
        transfer_id=filters.transfer_id,
        created_after=filters.created_after,
        created_before=filters.created_before,
        before_id=before_id,
    )
    page = await remit.request_records.find(wanted, filters.limit)
    return RequestRecordsOut(
        items=[RequestRecordOut.model_validate(one, from_attributes=True) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign("request records", last.id)),
    )
