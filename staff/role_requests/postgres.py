"""Which requests of roles wait: for the second admin, for a list, and for whoever rejects one."""

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, select
from sqlalchemy.sql.expression import Exists

from customers.postgres import customers
from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import dataclass_of
from database.statements import Row, fetch_first, fetch_value, one_of
from ledger.ids import ActionId, CustomerId
from staff.permissions import Action, Role
from staff.postgres.tables import staff_actions
from staff.role_requests.role_request import NoSuchRoleRequest, RoleRequest

if TYPE_CHECKING:
    from database.connections import Connection

_REQUEST = staff_actions.c
_WANTED = _REQUEST.asked["role"].astext
_person, _requester = customers.alias("person"), customers.alias("requester")
_vouches, _later = staff_actions.alias("vouches"), staff_actions.alias("later")


def _later_about_the_same(action: Action) -> Exists:
    return exists().where(
        _later.c.subject == _REQUEST.subject,
        _later.c.action == action,
        _later.c.asked["role"].astext == _WANTED,
        _later.c.recorded_at > _REQUEST.recorded_at,
    )


# A request counts as long as the customer's role is what it was, whoever made it is an admin ever since, and nobody has
# rejected it. The action is a constant: its requests have an index of their own.
_WAITS = and_(
    one_of(_REQUEST.action, [Action.REQUEST_ROLE]),
    _REQUEST.recorded_at > _person.c.role_since,
    _requester.c.role == Role.ADMIN,
    _requester.c.disabled_at.is_(None),
    _requester.c.role_since < _REQUEST.recorded_at,
    ~exists().where(
        _vouches.c.subject == _REQUEST.subject,
        _vouches.c.action == Action.VERIFY_EMAIL,
        _vouches.c.actor_id == _REQUEST.actor_id,
    ),
    ~_later_about_the_same(Action.REJECT_ROLE),
)

_PARTIES = staff_actions.join(_person, _person.c.id == _REQUEST.subject).join(
    _requester, _requester.c.id == _REQUEST.actor_id
)

_REQUESTED_BY = (
    select(_REQUEST.actor_id)
    .select_from(_PARTIES)
    .where(
        _WAITS,
        _REQUEST.subject == bindparam("customer_id"),
        _REQUEST.actor_id != bindparam("actor_id"),
        bindparam("wanted") == _WANTED,
    )
    .order_by(_REQUEST.recorded_at)
    .limit(1)
)

_ONES = (
    select(
        _REQUEST.id,
        _REQUEST.subject.label("customer_id"),
        _person.c.full_name,
        _person.c.role,
        _WANTED.label("requested_role"),
        _REQUEST.actor_id.label("requested_by"),
        _REQUEST.reason,
        _REQUEST.recorded_at.label("requested_at"),
    )
    .select_from(_PARTIES)
    .where(_WAITS)
)

_FIND = _ONES.where(_REQUEST.id == bindparam("request_id"))

# Who requests the same again is listed once.
_LISTED = _ONES.where(
    ~_later_about_the_same(Action.REQUEST_ROLE).where(_later.c.actor_id == _REQUEST.actor_id),
)


class RoleRequests:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, limit: int, before: Place | None = None) -> Page[RoleRequest]:
        """Those that wait for another admin, newest first."""
        statement = newest_first(_LISTED, _REQUEST.recorded_at, _REQUEST.id, behind=before is not None)
        async with self._database.connection() as connection:
            return await fetch_page(connection, statement, limit, _request_of, before)


async def waiting_request(connection: "Connection", request_id: ActionId) -> RoleRequest:
    """The request with this id. Raises `NoSuchRoleRequest` unless it waits."""
    row = await fetch_first(connection, _FIND, request_id=request_id)
    if row is None:
        raise NoSuchRoleRequest(request_id)
    return _request_of(row)


async def requested_by(
    connection: "Connection", customer_id: CustomerId, role: Role, actor_id: CustomerId
) -> CustomerId | None:
    """The first admin other than the actor whose request of this role waits. The caller holds the customer's row."""
    found: CustomerId | None = await fetch_value(
        connection, _REQUESTED_BY, customer_id=customer_id, actor_id=actor_id, wanted=role
    )
    return found


def _request_of(row: Row) -> RoleRequest:
    return dataclass_of(RoleRequest, row)
