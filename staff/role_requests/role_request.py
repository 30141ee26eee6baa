"""Requests of a role with more rights, which wait for another admin. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime

from ledger.ids import ActionId, CustomerId
from ledger.refusals import ActionRefused
from staff.permissions import Role


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """What one admin has requested. It waits until another admin gives the same role, or one rejects it.

    It also ends when the customer's role changes, or when `requested_by` is an admin no more. `role` is what the
    customer has now, `id` the request's action.
    """

    id: ActionId
    customer_id: CustomerId
    full_name: str
    role: Role
    requested_role: Role
    requested_by: CustomerId
    reason: str
    requested_at: datetime


@dataclass(eq=False)
class NoSuchRoleRequest(ActionRefused):
    """No request with this id waits: there was none, or it has ended."""

    code = "role_request_not_found"
    request_id: ActionId

    def __str__(self) -> str:
        return f"No request {self.request_id} of a role waits. It may have ended."
