"""How customers become staff: two admins, or somebody at a console; and that each change and its record are one."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from customers.customer import Customer
from customers.postgres import Customers
from customers.sessions.postgres import Sessions, SignedIn
from customers.sign_ins.networks import client_at
from database.connections import Database
from ledger.ids import CustomerId
from staff.actions import StaffAction
from staff.permissions import (
    Action,
    Actor,
    AddressVouchedFor,
    Channel,
    ConflictOfInterest,
    EmailNotVerified,
    NoSuchCustomer,
    NotAllowed,
    Role,
    RoleTooYoung,
)
from staff.postgres.actions import ActionSearch, StaffActions, record_action
from staff.postgres.owner_grants import NobodyToPromote, NotTheOwner, OwnerGrants, RegisteredAlready
from staff.postgres.roles import Roles
from staff.role_requests.postgres import RoleRequests
from staff.role_requests.role_request import NoSuchRoleRequest
from tests.connections import Connection
from tests.orders import DOCUMENT, holder, staff

REASON = "Joins the team, ticket 4711"


@pytest.fixture
def roles(database: Database) -> Roles:
    return Roles(database, timedelta(0))


@pytest.fixture
async def admins(database: Database) -> list[Actor]:
    return [Actor(await staff(database), Role.ADMIN) for _ in range(3)]


@pytest.fixture
async def bob(customers: Customers) -> CustomerId:
    """A customer whose address is verified."""
    return (await customers.verify_email((await holder(customers)).id, client_at("192.0.2.1"))).id


async def about(database: Database, subject: str) -> list[StaffAction]:
    return (await StaffActions(database).find(ActionSearch(subject=subject), 50)).items[::-1]


async def test_a_role_of_staff_takes_two_admins(
    roles: Roles, database: Database, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, _ = admins
    for _ in range(2):
        change = await roles.set_role(first, bob, Role.OPERATOR, REASON)
        assert (change.waits, change.customer.role) == (True, Role.CUSTOMER)
    assert (await roles.set_role(second, bob, Role.ADMIN, REASON)).waits, "another role is another request"
    change = await roles.set_role(second, bob, Role.OPERATOR, REASON)
    assert (change.waits, change.customer.role) == (False, Role.OPERATOR)
    recorded = await about(database, bob)
    assert [one.action for one in recorded] == [Action.REQUEST_ROLE] * 3 + [Action.GRANT_ROLE]
    assert (recorded[-1].actor_id, recorded[-1].asked) == (second.id, {"role": "operator", "requested_by": first.id})


async def test_less_rights_take_one_admin_and_end_what_was_requested(
    roles: Roles, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    await roles.set_role(first, bob, Role.OPERATOR, REASON)
    await roles.set_role(second, bob, Role.OPERATOR, REASON)
    await roles.set_role(third, bob, Role.ADMIN, REASON)
    change = await roles.set_role(first, bob, Role.CUSTOMER, REASON)
    assert (change.waits, change.customer.role) == (False, Role.CUSTOMER)
    assert (await roles.set_role(second, bob, Role.ADMIN, REASON)).waits, "the request was for somebody else's rights"


async def test_the_request_of_an_admin_who_is_one_no_more_does_not_count(
    roles: Roles, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    await roles.set_role(first, bob, Role.OPERATOR, REASON)
    await roles.set_role(third, first.id, Role.CUSTOMER, REASON)
    assert (await roles.set_role(second, bob, Role.OPERATOR, REASON)).waits


async def test_of_two_admins_at_once_one_requests_and_one_grants(
    roles: Roles, admins: list[Actor], bob: CustomerId
) -> None:
    changes = await asyncio.gather(*(roles.set_role(each, bob, Role.OPERATOR, REASON) for each in admins[:2]))
    assert sorted(change.waits for change in changes) == [False, True]


async def test_an_admin_whose_role_is_new_is_no_second_pair_of_eyes(
    database: Database, admins: list[Actor], bob: CustomerId, owner: Connection
) -> None:
    roles = Roles(database, timedelta(hours=1))
    for admin in admins[:2]:
        with pytest.raises(RoleTooYoung):
            await roles.set_role(admin, bob, Role.OPERATOR, REASON)
    await owner.execute("UPDATE customers SET role_since = now() - interval '2 hours'")
    assert (await roles.set_role(admins[0], bob, Role.OPERATOR, REASON)).waits
    assert not (await roles.set_role(admins[1], bob, Role.OPERATOR, REASON)).waits


async def test_nobody_becomes_staff_with_an_address_that_is_not_verified(
    roles: Roles, customers: Customers, admins: list[Actor]
) -> None:
    eve = (await holder(customers)).id
    for admin in admins[:2]:
        with pytest.raises(EmailNotVerified):
            await roles.set_role(admin, eve, Role.OPERATOR, REASON)


async def test_who_issued_the_code_for_an_address_is_neither_of_the_two_who_give_a_role(
    roles: Roles, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    await roles.set_role(first, bob, Role.OPERATOR, REASON)
    await roles.record_verification(first, bob, REASON)
    assert (await roles.set_role(second, bob, Role.OPERATOR, REASON)).waits, "the first one's request counts no more"
    with pytest.raises(AddressVouchedFor):
        await roles.set_role(first, bob, Role.OPERATOR, REASON)
    assert not (await roles.set_role(third, bob, Role.OPERATOR, REASON)).waits
    assert not (await roles.set_role(first, bob, Role.CUSTOMER, REASON)).waits


async def test_a_role_is_nobodys_own_and_an_unknown_customers_none(roles: Roles, admins: list[Actor]) -> None:
    with pytest.raises(ConflictOfInterest):
        await roles.set_role(admins[0], admins[0].id, Role.ADMIN, REASON)
    with pytest.raises(NoSuchCustomer):
        await roles.set_role(admins[0], CustomerId("cus_none"), Role.OPERATOR, REASON)
    with pytest.raises(NoSuchCustomer):
        await roles.record_verification(admins[0], CustomerId("cus_none"), REASON)


async def test_two_admins_who_take_each_others_role_leave_one_admin(
    roles: Roles, customers: Customers, admins: list[Actor]
) -> None:
    one, other, _ = admins
    answers = await asyncio.gather(
        roles.set_role(one, other.id, Role.CUSTOMER, REASON),
        roles.set_role(other, one.id, Role.CUSTOMER, REASON),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["NotAllowed", "RoleChange"]
    found = [await customers.find(each.id) for each in (one, other)]
    assert sorted(customer.role for customer in found if customer) == [Role.ADMIN, Role.CUSTOMER]


async def test_the_database_itself_refuses_the_application_a_role_without_two_admins(
    database: Database, admins: list[Actor], bob: CustomerId
) -> None:
    async def raised(role: Role) -> None:
        async with database.transaction() as connection:
            for actor in (admins[0], admins[0], Actor(bob, Role.ADMIN)):
                await record_action(connection, actor, Action.REQUEST_ROLE, bob, REASON, None, None, {"role": role})
            await connection.execute("UPDATE customers SET role = $2 WHERE id = $1", bob, role)

    for role in (Role.OPERATOR, Role.ADMIN):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only by two admins"):
            await raised(role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only by two admins"):
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO customers (id, email, password_hash, full_name, role) "
                "VALUES ($1, 'eve@example.com', '-', 'Eve', 'admin')",
                "cus_" + "e" * 26,
            )


async def test_the_database_itself_does_not_count_who_issued_the_code_for_the_address(
    roles: Roles, database: Database, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    await roles.record_verification(first, bob, REASON)

    async def raised_by(*actors: Actor) -> None:
        async with database.transaction() as connection:
            for actor in actors:
                await record_action(
                    connection, actor, Action.REQUEST_ROLE, bob, REASON, None, None, {"role": Role.OPERATOR}
                )
            await connection.execute("UPDATE customers SET role = 'operator' WHERE id = $1", bob)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only by two admins"):
        await raised_by(first, second)
    await raised_by(second, third)


async def test_ten_consoles_at_once_make_one_admin_and_one_record(database: Database) -> None:
    grants = OwnerGrants(database)
    made = await asyncio.gather(
        *(grants.create("grace@example.com", "Grace", "-") for _ in range(10)), return_exceptions=True
    )
    (admin,) = [one for one in made if isinstance(one, Customer)]
    assert [type(one) for one in made].count(RegisteredAlready) == 9
    (recorded,) = await about(database, admin.id)
    assert (recorded.actor_id, recorded.channel) == (admin.id, Channel.CONSOLE)
    assert (recorded.before, recorded.after) == (None, {"role": "admin", "new_password": True})


async def test_whoever_registered_the_address_first_is_promoted_only_by_name_and_with_a_new_password(
    database: Database, customers: Customers
) -> None:
    grants = OwnerGrants(database)
    ada, _ = await customers.register("ada@example.com", "theirs", "Ada Obi", DOCUMENT, "USD")
    with pytest.raises(RegisteredAlready, match=ada.id):
        await grants.create("ada@example.com", "Somebody Else", "new")
    other = await staff(database)
    for customer_id, email in ((other, "ada@example.com"), (ada.id, "eve@example.com")):
        with pytest.raises(NobodyToPromote):
            await grants.promote(customer_id, email, "new")
    sessions = Sessions(database, timedelta(days=1), timedelta(0))
    session = await sessions.start(ada, client_at("192.0.2.1"))
    assert await sessions.signed_in(ada.id, session.id) == SignedIn(ada, second_factor=False)
    promoted = await grants.promote(ada.id, "ada@example.com", "new")
    assert (promoted.role, promoted.full_name, promoted.password_hash) == (Role.ADMIN, "Ada Obi", "new")
    assert promoted.email_verified
    assert await sessions.signed_in(ada.id, session.id) is None
    assert [(one.before, one.after) for one in await about(database, ada.id)] == [
        ({"role": "customer"}, {"role": "admin", "new_password": True})
    ]


async def test_the_service_role_makes_no_staff(database: Database, database_url: str, owner: Connection) -> None:
    await owner.execute("DROP ROLE IF EXISTS remit_test_service")
    await owner.execute("CREATE ROLE remit_test_service LOGIN PASSWORD 'service' IN ROLE remit_app")
    try:
        _, _, at = database_url.partition("@")
        async with Database(f"postgresql://remit_test_service:service@{at}", 1) as service:
            with pytest.raises(NotTheOwner):
                await OwnerGrants(service).create("eve@example.com", "Eve", "-")
    finally:
        await owner.execute("DROP ROLE remit_test_service")


async def test_a_customer_is_no_admin_however_they_ask(roles: Roles, bob: CustomerId, admins: list[Actor]) -> None:
    for actor in (Actor(bob, Role.CUSTOMER), Actor(bob, Role.ADMIN)):
        with pytest.raises(NotAllowed):
            await roles.set_role(actor, admins[0].id, Role.CUSTOMER, REASON)


async def waiting(database: Database) -> list[tuple[CustomerId, Role, CustomerId]]:
    page = await RoleRequests(database).waiting(50)
    return [(each.customer_id, each.requested_role, each.requested_by) for each in page.items]


async def test_roles_that_wait_for_a_second_admin_are_listed_until_they_do_no_more(
    roles: Roles, database: Database, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    for _ in range(2):
        await roles.set_role(first, bob, Role.OPERATOR, REASON)
    await roles.set_role(second, bob, Role.ADMIN, REASON)
    assert await waiting(database) == [(bob, Role.ADMIN, second.id), (bob, Role.OPERATOR, first.id)]
    newest = await RoleRequests(database).waiting(1)
    last = newest.items[0]
    rest = await RoleRequests(database).waiting(1, (last.requested_at, last.id))
    assert [newest.has_more, rest.has_more, rest.items[0].requested_role] == [True, False, Role.OPERATOR]
    await roles.set_role(third, second.id, Role.OPERATOR, REASON)
    assert await waiting(database) == [(bob, Role.OPERATOR, first.id)]
    await roles.set_role(third, bob, Role.OPERATOR, REASON)
    assert await waiting(database) == []


async def test_a_role_whose_request_was_rejected_needs_two_admins_anew(
    roles: Roles, database: Database, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    await roles.set_role(first, bob, Role.OPERATOR, REASON)
    (request,) = (await RoleRequests(database).waiting(50)).items
    ended = await asyncio.gather(
        *(roles.reject(actor, request.id, "Not in the team") for actor in (second, third)),
        return_exceptions=True,
    )
    assert [type(each) for each in ended if each != request] == [NoSuchRoleRequest]
    assert await waiting(database) == []
    assert (await roles.set_role(second, bob, Role.OPERATOR, REASON)).waits
    assert not (await roles.set_role(third, bob, Role.OPERATOR, REASON)).waits
    recorded = await about(database, bob)
    assert recorded[1].asked == {"role": "operator", "requested_by": first.id}
    assert [one.action for one in recorded[:3]] == [Action.REQUEST_ROLE, Action.REJECT_ROLE, Action.REQUEST_ROLE]


async def test_a_request_of_a_role_is_rejected_by_admins_other_than_the_person(
    roles: Roles, database: Database, admins: list[Actor], bob: CustomerId
) -> None:
    first, second, third = admins
    await roles.set_role(third, second.id, Role.OPERATOR, REASON)
    await roles.set_role(first, second.id, Role.ADMIN, REASON)
    (request,) = (await RoleRequests(database).waiting(50)).items
    with pytest.raises(NotAllowed):
        await roles.reject(second, request.id, REASON)
    with pytest.raises(NotAllowed):
        await roles.reject(Actor(bob, Role.ADMIN), request.id, REASON)
    assert await roles.reject(first, request.id, "Withdrawn") == request
