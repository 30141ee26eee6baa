"""The lists that staff keep, each change together with its record."""

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from customers.postgres import customers
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first
from ledger.ids import AccountId, CustomerId
from ledger.postgres.tables import accounts
from screening.member_lists import MOST_MEMBERS, ListMember, ListsFull, ListSize, NoSuchMember
from screening.postgres.rules_in_force import next_change
from screening.postgres.tables import list_members
from staff.account_actions import NoSuchAccount
from staff.permissions import Action, Actor, ConflictOfInterest, NoSuchCustomer, check_allowed
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

_MEMBERS = select(*columns_for(ListMember, list_members)).where(list_members.c.list == bindparam("list"))
_MEMBER = _MEMBERS.where(list_members.c.member_id == bindparam("member_id"))

_SIZES = (
    select(list_members.c.list, func.count().label("members"))
    .group_by(list_members.c.list)
    .order_by(list_members.c.list)
    .limit(1_000)
)

_OWNER = select(accounts.c.owner_id).where(accounts.c.id == bindparam("id"))
_CUSTOMER = select(customers.c.id.label("owner_id")).where(customers.c.id == bindparam("id"))

_COUNT = "SELECT count(*) FROM list_members"
_ADD = """
    INSERT INTO list_members (list, member_id, added_by, reason) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
_REMOVE = "DELETE FROM list_members WHERE list = $1 AND member_id = $2"


class MemberLists:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, read, then repeat.

    Nobody puts themselves or an account of their own on a list or takes them off: that is a `ConflictOfInterest`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sizes(self) -> list[ListSize]:
        """All lists that have members, by name."""
        async with self._database.connection() as connection:
            return [dataclass_of(ListSize, row) for row in await fetch(connection, _SIZES)]

    async def members(self, name: str, before: Place | None, limit: int) -> Page[ListMember]:
        """Whoever is on a list, newest first. A list without members is empty, whether a rule names it or not."""
        columns = list_members.c
        statement = newest_first(_MEMBERS, columns.added_at, columns.member_id, behind=before is not None)
        async with self._database.connection() as connection:
            return await fetch_page(connection, statement, limit, _member_of, before, list=name)

    async def add(
        self, actor: Actor, name: str, member_id: str, reason: str, keep: Keep[ListMember] = keeps_nothing
    ) -> ListMember:
        """Put an account or a customer on a list. Who is on it already stays as they are, and it is recorded too.

        Refuses with `NoSuchAccount`, `NoSuchCustomer` and `ListsFull`. Transfers are screened by it from the end of
        the lease of `RulesInForce` on.
        """
        check_allowed(actor, Action.ADD_TO_LIST)
        async with self._database.transaction() as connection:
            await next_change(connection)
            await _check_may(connection, actor, Action.ADD_TO_LIST, member_id)
            known = await fetch_first(connection, _MEMBER, list=name, member_id=member_id)
            if known is None and await connection.fetchval(_COUNT) >= MOST_MEMBERS:
                raise ListsFull
            await connection.execute(_ADD, name, member_id, actor.id, reason)
            before, after = {"on_list": known is not None}, {"on_list": True}
            await record_action(connection, actor, Action.ADD_TO_LIST, member_id, reason, before, after, {"list": name})
            found = await fetch_first(connection, _MEMBER, list=name, member_id=member_id)
            assert found is not None, "it was there, or was just written"
            member = _member_of(found)
            await keep(connection, member)
            return member

    async def remove(
        self, actor: Actor, name: str, member_id: str, reason: str, keep: Keep[ListMember] = keeps_nothing
    ) -> ListMember:
        """Take a member off a list. The member as it was. Refuses with `NoSuchMember`."""
        check_allowed(actor, Action.REMOVE_FROM_LIST)
        async with self._database.transaction() as connection:
            await next_change(connection)
            await _check_may(connection, actor, Action.REMOVE_FROM_LIST, member_id)
            known = await fetch_first(connection, _MEMBER, list=name, member_id=member_id)
            if known is None:
                raise NoSuchMember(member_id, name)
            await connection.execute(_REMOVE, name, member_id)
            before, after = {"on_list": True}, {"on_list": False}
            await record_action(
                connection, actor, Action.REMOVE_FROM_LIST, member_id, reason, before, after, {"list": name}
            )
            member = _member_of(known)
            await keep(connection, member)
            return member


async def _check_may(connection: "Connection", actor: Actor, action: Action, member_id: str) -> None:
    is_account = member_id.startswith("acc_")
    row = await fetch_first(connection, _OWNER if is_account else _CUSTOMER, id=member_id)
    if row is None:
        raise NoSuchAccount(AccountId(member_id)) if is_account else NoSuchCustomer(CustomerId(member_id))
    if row["owner_id"] == actor.id:
        raise ConflictOfInterest(action)


def _member_of(row: Row) -> ListMember:
    return dataclass_of(ListMember, row)
