"""What staff change: accounts and roles, each under its row lock and together with the record of who did it and why.

An action that is refused raises an `ActionRefused`, changes nothing and records nothing. One that changes nothing
because everything is as requested is recorded too, with equal states before and after.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, Text, any_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from customers.customer import Customer
from customers.postgres import CUSTOMER, customer_of, customers
from database.connections import Database
from database.statements import fetch, fetch_first, fetch_only, fetch_value, locked, one_of
from ledger.accounts import Account, AccountStatus
from ledger.ids import AccountId, CustomerId, new_customer_id
from ledger.postgres.audit import Audit, audit
from ledger.postgres.rebuild import rebuild
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import accounts, transfers
from ledger.transfers import State
from staff.account_actions import STATUS_AFTER, NoSuchAccount, check_account_action, check_status_change
from staff.actions import AuditRunning
from staff.permissions import Action, Actor, NoSuchCustomer, Role, check_allowed, check_grant
from staff.postgres.actions import State as Recorded
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

# What an action about all of the books is recorded under, instead of an id.
BOOKS = "books"

FROM_THE_COMMAND_LINE = "made an admin by `remit admin create`"

_LOCK_ACCOUNT = locked(select(*ACCOUNT).where(accounts.c.id == bindparam("account_id")))

_IN_TRANSIT = select(func.count()).where(
    one_of(transfers.c.state, [State.DEBITED]),
    or_(
        transfers.c.source_account_id == bindparam("account_id"),
        transfers.c.destination_account_id == bindparam("account_id"),
    ),
)

# Both rows, in the order of their ids: two admins who take each other's role cannot deadlock, and one comes first.
_LOCK_CUSTOMERS = locked(
    select(*CUSTOMER)
    .where(customers.c.id == any_(bindparam("customer_ids", type_=ARRAY(Text))))
    .order_by(customers.c.id)
)
_LOCK_BY_EMAIL = locked(select(*CUSTOMER).where(customers.c.email == bindparam("address")))


@dataclass(frozen=True, slots=True)
class MadeAdmin:
    """An admin, and the role they had before; `was` None: nobody had the address."""

    customer: Customer
    was: Role | None


class Operators:
    """Actions as transactions. All raise `Unavailable` where PostgreSQL gave no answer: in doubt, read, then repeat.

    Steps of transfers that need the same account wait for an action, and an action waits for them: money never moves
    between an action's decision and its effect.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._auditing = False

    async def set_status(self, actor: Actor, action: Action, account_id: AccountId, reason: str) -> Account:
        """Freeze, unfreeze or close an account. Closing needs it empty, and nothing in transit from or to it."""
        wanted = STATUS_AFTER[action]
        async with self._account(actor, action, account_id) as (connection, account):
            # Read after the lock, in a statement of its own: it sees every debit that came before.
            closing = wanted is AccountStatus.CLOSED
            in_transit = await fetch_value(connection, _IN_TRANSIT, account_id=account_id) if closing else 0
            check_status_change(account, wanted, in_transit)
            changed = await _set(connection, account_id, status=wanted)
            before, after = {"status": account.status}, {"status": changed.status}
            await record_action(connection, actor, action, account_id, reason, before, after)
        return changed

    async def set_tier(self, actor: Actor, account_id: AccountId, tier: int, reason: str) -> Account:
        """Move an account to another tier."""
        async with self._account(actor, Action.SET_TIER, account_id) as (connection, account):
            changed = await _set(connection, account_id, tier=tier)
            before, after = {"tier": account.tier}, {"tier": changed.tier}
            await record_action(connection, actor, Action.SET_TIER, account_id, reason, before, after)
        return changed

    async def rebuild(self, actor: Actor, account_id: AccountId, reason: str) -> Account:
        """Set an account's balance, version and head hash to what its entries say, if those are what was written.

        Raises `EntriesBroken`, with what was found, where an entry was edited, dropped or added behind the book.
        """
        async with self._account(actor, Action.REBUILD_ACCOUNT, account_id) as (connection, account):
            changed = await rebuild(connection, account_id)
            before, after = _balance_of(account), _balance_of(changed)
            await record_action(connection, actor, Action.REBUILD_ACCOUNT, account_id, reason, before, after)
        return changed

    async def grant_role(self, actor: Actor, customer_id: CustomerId, role: Role, reason: str) -> Customer:
        """Give a customer another role, effective with their next request."""
        check_grant(actor, customer_id)
        async with self._database.transaction() as connection:
            rows = await fetch(connection, _LOCK_CUSTOMERS, customer_ids=[actor.id, customer_id])
            found = {row["id"]: customer_of(row) for row in rows}
            # The actor's own role may have been taken since the request was let in.
            check_allowed(Actor(actor.id, Role(found[actor.id].role)), Action.GRANT_ROLE)
            if customer_id not in found:
                raise NoSuchCustomer(customer_id)
            changed = await _set_role(connection, customer_id, role)
            before, after = {"role": found[customer_id].role}, {"role": changed.role}
            await record_action(connection, actor, Action.GRANT_ROLE, customer_id, reason, before, after)
        return changed

    async def audit(self, actor: Actor, reason: str) -> Audit:
        """Run the audit of all the books, and record that it was run and what it found.

        Raises `AuditRunning` while this process runs one already.
        """
        check_allowed(actor, Action.RUN_AUDIT)
        if self._auditing:
            raise AuditRunning
        self._auditing = True
        try:
            found = await audit(self._database)
        finally:
            self._auditing = False
        after = {"clean": found.clean, "findings": len(found.broken)}
        async with self._database.connection() as connection:
            await record_action(connection, actor, Action.RUN_AUDIT, BOOKS, reason, None, after)
        return found

    async def make_admin(self, email: str, full_name: str, password_hash: str | None) -> MadeAdmin | None:
        """Make the customer with this address (lower case) an admin, or make an admin with it. Safe to repeat.

        For whoever holds the database: it asks for no actor, and records the new admin as their own. A customer
        who exists keeps name and password. None: nobody has the address, and no password was given for a new customer.
        """
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _LOCK_BY_EMAIL, address=email)
            if row is None:
                if password_hash is None:
                    return None
                new = insert_or_skip(customers).values(
                    id=new_customer_id(), email=email, password_hash=password_hash, full_name=full_name, role=Role.ADMIN
                )
                new = new.on_conflict_do_nothing(index_elements=[customers.c.email])
                if (created := await fetch_first(connection, new.returning(*CUSTOMER))) is not None:
                    return await self._record_made(connection, MadeAdmin(customer_of(created), None))
                # Somebody registered with the address at the same moment.
                row = await fetch_only(connection, _LOCK_BY_EMAIL, address=email)
            known = customer_of(row)
            if known.role == Role.ADMIN:
                return MadeAdmin(known, Role.ADMIN)
            promoted = await _set_role(connection, known.id, Role.ADMIN)
            return await self._record_made(connection, MadeAdmin(promoted, Role(known.role)))

    async def _record_made(self, connection: "Connection", made: MadeAdmin) -> MadeAdmin:
        actor, before = Actor(made.customer.id, Role.ADMIN), {"role": made.was} if made.was else None
        after = {"role": made.customer.role}
        await record_action(connection, actor, Action.GRANT_ROLE, actor.id, FROM_THE_COMMAND_LINE, before, after)
        return made

    @asynccontextmanager
    async def _account(
        self, actor: Actor, action: Action, account_id: AccountId
    ) -> AsyncIterator[tuple["Connection", Account]]:
        """A transaction that holds the account's row, once the actor may do this to it."""
        check_allowed(actor, action)
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _LOCK_ACCOUNT, account_id=account_id)
            if row is None:
                raise NoSuchAccount(account_id)
            account = account_of(row)
            check_account_action(actor, action, account)
            yield connection, account


async def _set(connection: "Connection", account_id: AccountId, **values: object) -> Account:
    changed = update(accounts).where(accounts.c.id == account_id).values(**values)
    return account_of(await fetch_only(connection, changed.returning(*ACCOUNT)))


async def _set_role(connection: "Connection", customer_id: CustomerId, role: Role) -> Customer:
    changed = update(customers).where(customers.c.id == customer_id).values(role=role)
    return customer_of(await fetch_only(connection, changed.returning(*CUSTOMER)))


def _balance_of(account: Account) -> Recorded:
    return {"balance": account.balance_minor, "version": account.version, "head_hash": account.head_hash.hex()}
