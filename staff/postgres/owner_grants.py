"""What somebody at a console does who holds the database's owner role: make staff, without any admin.

It asks for no actor: the record names the person who was made staff, with the channel `console`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from customers.customer import Customer
from customers.postgres import CUSTOMER, customer_of, customers
from customers.second_factor.postgres import forget_second_factor
from database.connections import Database
from database.metadata import CLOCK
from database.statements import fetch_first, fetch_only, locked
from ledger.ids import CustomerId, new_customer_id
from staff.permissions import Action, Actor, Channel, Role
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

FROM_THE_CONSOLE = "made staff by `remit admin create`"

_LOCK_BY_EMAIL = locked(select(*CUSTOMER).where(customers.c.email == bindparam("address")))

# Connections act as the application otherwise, which may not make staff.
_AS_LOGIN_ROLE = "SET LOCAL ROLE NONE"

# A superuser has every role.
_IS_OWNER = "SELECT pg_has_role(session_user, relowner, 'USAGE') FROM pg_class WHERE oid = 'customers'::regclass"


class NotTheOwner(Exception):
    """The database role may not make staff."""

    def __str__(self) -> str:
        return (
            "This needs the database role that owns the tables, as `remit migrate` does: set REMIT_DATABASE_URL for it."
        )


@dataclass(eq=False)
class RegisteredAlready(Exception):
    """Somebody has registered with the address. Whoever that is, they know its password."""

    customer: Customer

    def __str__(self) -> str:
        return (
            f"{self.customer.id} ({self.customer.role}) has registered with this address. Nothing changed. If that is "
            f"the person you mean, repeat with --promote {self.customer.id}: it sets a new password and ends their "
            "sessions."
        )


@dataclass(eq=False)
class NobodyToPromote(Exception):
    """No customer has both this id and this address."""

    customer_id: CustomerId

    def __str__(self) -> str:
        return f"No customer with this address has the id {self.customer_id}. Nothing changed."


class OwnerGrants:
    """All raise `Unavailable` where PostgreSQL gave no answer, and `NotTheOwner` for another database role.

    The address counts as verified: the person gets the new password from whoever is at the console.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, email: str, full_name: str, password_hash: str, role: Role = Role.ADMIN) -> Customer:
        """A new customer with this address (lower case), who is staff from the start.

        Refuses with `RegisteredAlready`.
        """
        new = insert_or_skip(customers).values(
            id=new_customer_id(),
            email=email,
            password_hash=password_hash,
            full_name=full_name,
            role=role,
            email_verified_at=CLOCK,
        )
        new = new.on_conflict_do_nothing(index_elements=[customers.c.email])
        async with self._owned() as connection:
            created = await fetch_first(connection, new.returning(*CUSTOMER))
            if created is None:
                raise RegisteredAlready(customer_of(await fetch_only(connection, _LOCK_BY_EMAIL, address=email)))
            return await _recorded(connection, customer_of(created), None)

    async def promote(
        self, customer_id: CustomerId, email: str, password_hash: str, role: Role = Role.ADMIN
    ) -> Customer:
        """Give a registered customer this role and a new password. Their sessions end, and their second factor goes.

        Refuses with `NobodyToPromote` unless id and address belong together. Safe to repeat.
        """
        async with self._owned() as connection:
            row = await fetch_first(connection, _LOCK_BY_EMAIL, address=email)
            if row is None or row["id"] != customer_id:
                raise NobodyToPromote(customer_id)
            before = customer_of(row)
            changed = update(customers).where(customers.c.id == customer_id)
            changed = changed.values(
                role=role,
                password_hash=password_hash,
                session_generation=customers.c.session_generation + 1,
                email_verified_at=CLOCK,
            )
            after = customer_of(await fetch_only(connection, changed.returning(*CUSTOMER)))
            await forget_second_factor(connection, customer_id)
            return await _recorded(connection, after, before)

    @asynccontextmanager
    async def _owned(self) -> AsyncIterator["Connection"]:
        async with self._database.transaction() as connection:
            if not await connection.fetchval(_IS_OWNER):
                raise NotTheOwner
            await connection.execute(_AS_LOGIN_ROLE)
            yield connection


async def _recorded(connection: "Connection", made: Customer, before: Customer | None) -> Customer:
    actor, was = Actor(made.id, Role(made.role)), {"role": before.role} if before else None
    after = {"role": made.role, "new_password": True}
    await record_action(
        connection, actor, Action.GRANT_ROLE, made.id, FROM_THE_CONSOLE, was, after, channel=Channel.CONSOLE
    )
    return made
