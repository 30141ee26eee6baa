"""How customers become staff, and stop to be, and whether they may sign in: each change under their row lock.

It commits together with its record.

More rights need two admins, the first of whom requests the change and the second makes it. Less need one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, Text, any_, bindparam, exists, func, select, update

from customers.customer import Customer
from customers.postgres import CUSTOMER, customer_of, customers
from customers.second_factor.postgres import forget_second_factor
from customers.sessions.postgres import end_sessions
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import CLOCK
from database.statements import fetch, fetch_first, fetch_only, fetch_value, locked
from ledger.ids import ActionId, CustomerId
from staff.permissions import (
    Action,
    Actor,
    AddressVouchedFor,
    EmailNotVerified,
    NoSuchCustomer,
    Role,
    check_access,
    check_allowed,
    check_counts,
    check_grant,
    gives_more,
)
from staff.postgres.actions import record_action
from staff.postgres.tables import staff_actions
from staff.role_requests.postgres import requested_by, waiting_request
from staff.role_requests.role_request import RoleRequest

if TYPE_CHECKING:
    from database.connections import Connection

# Both rows, in the order of their ids: two admins who take each other's role cannot deadlock, and one comes first.
_LOCK = locked(
    select(*CUSTOMER, CLOCK.label("now"))
    .where(customers.c.id == any_(bindparam("customer_ids", type_=ARRAY(Text))))
    .order_by(customers.c.id)
)

_FIND = select(*CUSTOMER).where(customers.c.id == bindparam("customer_id"))

_HAS_VOUCHED = select(
    exists().where(
        staff_actions.c.subject == bindparam("customer_id"),
        staff_actions.c.action == Action.VERIFY_EMAIL,
        staff_actions.c.actor_id == bindparam("actor_id"),
    )
)


@dataclass(frozen=True, slots=True)
class RoleChange:
    """The customer as they are now. `waits`: the role waits for another admin to request it, too."""

    customer: Customer
    waits: bool


class Roles:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, read, then repeat."""

    def __init__(self, database: Database, four_eyes_after: timedelta) -> None:
        """`four_eyes_after`: somebody whose role is younger counts for nothing where two people are needed."""
        self._database = database
        self._four_eyes_after = four_eyes_after

    async def set_role(
        self,
        actor: Actor,
        customer_id: CustomerId,
        role: Role,
        reason: str,
        keep: Keep[RoleChange] = keeps_nothing,
    ) -> RoleChange:
        """Give a customer another role, effective with their next request. `keep` keeps the answer, for repeats.

        One that gives more rights only waits, until another admin sets the same. It refuses with `EmailNotVerified`,
        `RoleTooYoung` and `AddressVouchedFor`, and with none of them for less rights.
        """
        check_grant(actor, customer_id)
        async with self._database.transaction() as connection:
            rows = await fetch(connection, _LOCK, customer_ids=[actor.id, customer_id])
            found = {row["id"]: customer_of(row) for row in rows}
            # The actor's own role may have been taken since the request was let in.
            check_allowed(Actor(actor.id, Role(found[actor.id].role)), Action.GRANT_ROLE)
            if customer_id not in found:
                raise NoSuchCustomer(customer_id)
            customer = found[customer_id]
            before, after = {"role": customer.role}, {"role": role}
            asked: dict[str, str] = {"role": role}
            if gives_more(Role(customer.role), role):
                first = await self._first(connection, found[actor.id], customer, role, rows[0]["now"])
                if first is None:
                    await record_action(
                        connection, actor, Action.REQUEST_ROLE, customer_id, reason, before, before, asked
                    )
                    waiting = RoleChange(customer, waits=True)
                    await keep(connection, waiting)
                    return waiting
                asked["requested_by"] = first
            await record_action(connection, actor, Action.GRANT_ROLE, customer_id, reason, before, after, asked)
            changed = RoleChange(await set_role(connection, customer_id, role), waits=False)
            await keep(connection, changed)
            return changed

    async def _first(
        self, connection: "Connection", actor: Customer, customer: Customer, role: Role, now: datetime
    ) -> CustomerId | None:
        """The other admin who has requested the same; None: nobody has. Raises unless the two may decide so."""
        if customer.email_verified_at is None:
            raise EmailNotVerified(customer.id)
        check_counts(actor.role_since, self._four_eyes_after, now)
        if await fetch_value(connection, _HAS_VOUCHED, customer_id=customer.id, actor_id=actor.id):
            raise AddressVouchedFor(customer.id)
        return await requested_by(connection, customer.id, role, actor.id)

    async def reject(
        self, actor: Actor, request_id: ActionId, reason: str, keep: Keep[RoleRequest] = keeps_nothing
    ) -> RoleRequest:
        """End a request that waits for another admin, as it was. `keep` keeps the answer, for repeats.

        Whoever made it may withdraw it so. Refuses with `NoSuchRoleRequest`, and with `ConflictOfInterest` the person
        whose role it is about.
        """
        async with self._database.transaction() as connection:
            customer_id = (await waiting_request(connection, request_id)).customer_id
            rows = await fetch(connection, _LOCK, customer_ids=[actor.id, customer_id])
            acting = next(customer_of(row) for row in rows if row["id"] == actor.id)
            check_grant(Actor(actor.id, Role(acting.role)), customer_id)
            # It may have ended while this waited for the rows.
            ended = await waiting_request(connection, request_id)
            role, asked = {"role": ended.role}, {"role": ended.requested_role, "requested_by": ended.requested_by}
            await record_action(connection, actor, Action.REJECT_ROLE, customer_id, reason, role, role, asked)
            await keep(connection, ended)
        return ended

    async def set_access(
        self,
        actor: Actor,
        action: Action,
        customer_id: CustomerId,
        reason: str,
        keep: Keep[Customer] = keeps_nothing,
    ) -> Customer:
        """Disable a customer, or enable them again. `keep` keeps the answer, for repeats.

        Whoever is disabled cannot sign in, and their sessions and API keys stop working with this commit; enabled
        again, they have to sign in. Accounts and transfers stay as they are. A repeat keeps the time of the first.
        """
        async with self._database.transaction() as connection:
            rows = await fetch(connection, _LOCK, customer_ids=[actor.id, customer_id])
            found = {row["id"]: customer_of(row) for row in rows}
            if customer_id not in found:
                raise NoSuchCustomer(customer_id)
            customer = found[customer_id]
            check_access(Actor(actor.id, Role(found[actor.id].role)), action, customer_id, Role(customer.role))
            disabling = action is Action.DISABLE_CUSTOMER
            disabled_at = func.coalesce(customers.c.disabled_at, CLOCK) if disabling else None
            changed = update(customers).where(customers.c.id == customer_id).values(disabled_at=disabled_at)
            after = customer_of(await fetch_only(connection, changed.returning(*CUSTOMER)))
            await end_sessions(connection, customer_id)
            was, is_ = ({"disabled": one.disabled_at is not None} for one in (customer, after))
            await record_action(connection, actor, action, customer_id, reason, was, is_)
            await keep(connection, after)
        return after

    async def remove_second_factor(
        self, actor: Actor, customer_id: CustomerId, reason: str, keep: Keep[Customer] = keeps_nothing
    ) -> Customer:
        """Let somebody who has lost their second factor sign in with the password alone. Their sessions end.

        Safe to repeat. `keep` keeps the answer, for repeats.
        """
        async with self._database.transaction() as connection:
            rows = await fetch(connection, _LOCK, customer_ids=[actor.id, customer_id])
            found = {row["id"]: customer_of(row) for row in rows}
            if customer_id not in found:
                raise NoSuchCustomer(customer_id)
            customer, action = found[customer_id], Action.REMOVE_SECOND_FACTOR
            check_access(Actor(actor.id, Role(found[actor.id].role)), action, customer_id, Role(customer.role))
            await forget_second_factor(connection, customer_id)
            await end_sessions(connection, customer_id)
            await record_action(connection, actor, action, customer_id, reason, None, {"second_factor": False})
            await keep(connection, customer)
        return customer

    async def record_verification(self, actor: Actor, customer_id: CustomerId, reason: str) -> Customer:
        """Record that an admin gets a code for mail to the customer's address. The customer as they are."""
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _FIND, customer_id=customer_id)
            if row is None:
                raise NoSuchCustomer(customer_id)
            await record_action(connection, actor, Action.VERIFY_EMAIL, customer_id, reason, None, None)
        return customer_of(row)


async def set_role(connection: "Connection", customer_id: CustomerId, role: Role) -> Customer:
    """The customer with another role. The caller holds the row's lock and has recorded who does so, and why."""
    changed = update(customers).where(customers.c.id == customer_id).values(role=role)
    return customer_of(await fetch_only(connection, changed.returning(*CUSTOMER)))
