"""Requests of roles as answers."""

from datetime import datetime

from pydantic import BaseModel

from api.http.fields import Cursor, In, Limit
from ledger.ids import ActionId, CustomerId
from staff.permissions import Role
from staff.role_requests.role_request import RoleRequest


class RoleRequestFilters(In):
    """Which page of the list."""

    limit: Limit = 20
    cursor: Cursor = None


class RoleRequestOut(BaseModel):
    """A role with more rights that one admin has requested for somebody, and that another admin must give, too."""

    id: ActionId
    customer_id: CustomerId
    full_name: str
    role: Role
    requested_role: Role
    requested_by: CustomerId
    reason: str
    requested_at: datetime

    @classmethod
    def of(cls, request: RoleRequest) -> "RoleRequestOut":
        return cls.model_validate(request, from_attributes=True)


class RoleRequestsOut(BaseModel):
    items: list[RoleRequestOut]
    next_cursor: str | None
