"""Fundings: who may give the system's money to whom, how much, and what remains of it."""

import asyncio
import secrets
from typing import Any

import asyncpg
import httpx
import pytest

from database.connections import Database
from ledger.ids import SYSTEM_CUSTOMER
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, reaches, register, running_api
from tests.connections import Connection
from tests.orders import promoted

REASON = "Welcome, ticket 4711"
BALANCE = "SELECT balance_minor FROM accounts WHERE owner_id = $1 AND currency = $2"


async def fund(staff: Person, payee: Person, amount: int, key: str | None = None, **changes: Any) -> httpx.Response:
    body = {"account_id": payee.account_id, "amount": amount, "currency": "USD", "reason": REASON} | changes
    return await staff.post("/v1/admin/fundings", body, key)


async def balance(person: Person) -> int:
    return int((await person.get(f"/v1/accounts/{person.account_id}")).json()["balance"])


async def test_a_funding_is_a_recorded_transfer_from_the_systems_account(
    operator: Person, admin: Person, ben: Person, owner: Connection
) -> None:
    answer = await fund(operator, ben, 5_000)
    assert (answer.status_code, answer.json()["kind"], answer.json()["state"]) == (201, "funding", "completed")
    funding = answer.json()
    assert await balance(ben) == 5_000
    assert await owner.fetchval(BALANCE, SYSTEM_CUSTOMER, "USD") == -5_000
    (recorded,) = (await admin.get("/v1/admin/actions", subject=ben.account_id)).json()["items"]
    assert (recorded["action"], recorded["actor_id"], recorded["reason"]) == ("fund_account", operator.id, REASON)
    assert recorded["after"]["transfer_id"] == funding["id"]
    system = (await admin.get(f"/v1/admin/accounts/{funding['source_account_id']}")).json()
    assert (system["owner_id"], system["balance"], system["available"]) == (
        SYSTEM_CUSTOMER,
        -5_000,
        100_000_000 - 5_000,
    )
    stats = (await ben.get(f"/v1/accounts/{ben.account_id}/stats")).json()
    assert (stats["total_deposited"], stats["deposits"], stats["transfers_in"]) == (5_000, 1, 0)


async def test_a_repeated_funding_moves_money_once_and_another_one_under_its_key_is_refused(
    operator: Person, ben: Person
) -> None:
    key = secrets.token_hex(8)
    answers = await asyncio.gather(*(fund(operator, ben, 700, key) for _ in range(5)))
    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    assert await balance(ben) == 700
    other = await fund(operator, ben, 701, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_transaction_id_funds_once_whoever_asks(operator: Person, admin: Person, ben: Person) -> None:
    first = await fund(operator, ben, 700, transaction_id="bank-1")
    again = await fund(operator, ben, 700, transaction_id="bank-1")
    assert again.json()["id"] == first.json()["id"]
    other = await fund(admin, ben, 700, transaction_id="bank-1")
    assert (other.status_code, other.json()["code"]) == (422, "transaction_id_reused")
    assert await balance(ben) == 700


async def test_fundings_at_once_stop_exactly_at_the_floor(
    settings: Settings, database: Database, owner: Connection
) -> None:
    async with running_api(settings.model_copy(update={"funding_floor_major": 10}), database) as http:
        staff, ben = await register(http), await register(http)
        await promoted(database, staff.id, Role.OPERATOR)
        answers = await asyncio.gather(*(fund(staff, ben, 300) for _ in range(8)))
        ended = sorted((answer.json()["state"], (answer.json()["failure"] or {}).get("code")) for answer in answers)
        assert ended == [("completed", None)] * 3 + [("failed", "insufficient_funds")] * 5
        assert await balance(ben) == 900
        assert await owner.fetchval(BALANCE, SYSTEM_CUSTOMER, "USD") == -900
        # What comes back can be given again.
        system = answers[0].json()["source_account_id"]
        back = await ben.post(
            "/v1/transfers",
            {"source_account_id": ben.account_id, "destination_account_id": system, "amount": 200, "currency": "USD"},
        )
        assert back.json()["state"] == "completed"
        assert (await fund(staff, ben, 300)).json()["state"] == "completed"
    async with running_api(settings.model_copy(update={"funding_floor_major": 5}), database) as http:
        staff.http = ben.http = http
        assert (await fund(staff, ben, 1)).json()["failure"]["code"] == "insufficient_funds"
    async with running_api(settings.model_copy(update={"funding_floor_major": 20}), database) as http:
        staff.http = ben.http = http
        assert (await fund(staff, ben, 1_000)).json()["state"] == "completed"
    assert await owner.fetchval(BALANCE, SYSTEM_CUSTOMER, "USD") == -2_000


async def test_the_database_holds_the_floor_and_no_other_account_has_one(
    operator: Person, ben: Person, owner: Connection
) -> None:
    await fund(operator, ben, 5_000)
    for change in (
        "UPDATE accounts SET balance_minor = -overdraft_minor - 1 WHERE owner_id = $1",
        "UPDATE accounts SET overdraft_minor = 100 WHERE owner_id <> $1",
        "UPDATE accounts SET balance_minor = -1 WHERE owner_id <> $1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(change, SYSTEM_CUSTOMER)


async def test_a_large_funding_waits_for_somebody_else_of_the_staff(
    operator: Person, admin: Person, ben: Person
) -> None:
    answer = await operator.post(
        "/v1/admin/fundings",
        {"account_id": ben.account_id, "amount": 1_000_000, "currency": "USD", "reason": REASON},
        prefer="wait=0",
    )
    funding = answer.json()["id"]
    await reaches(operator, funding, "in_review")
    approval = {"ruling": "approve", "reason": "Seen the contract"}
    own = await operator.post(f"/v1/admin/transfers/{funding}/decisions", approval)
    assert (own.status_code, own.json()["code"]) == (403, "conflict_of_interest")
    assert await balance(ben) == 0
    assert (await admin.post(f"/v1/admin/transfers/{funding}/decisions", approval)).status_code in (200, 201, 202)
    await reaches(operator, funding, "completed")
    assert await balance(ben) == 1_000_000


async def test_a_new_role_is_no_second_pair_of_eyes_for_a_funding(settings: Settings, database: Database) -> None:
    new_roles = settings.model_copy(update={"four_eyes_after_seconds": 3_600})
    async with running_api(new_roles, database) as http:
        asks, approves, ben = await register(http), await register(http), await register(http)
        for staff in (asks, approves):
            await promoted(database, staff.id, Role.OPERATOR)
        answer = await asks.post(
            "/v1/admin/fundings",
            {"account_id": ben.account_id, "amount": 1_000_000, "currency": "USD", "reason": REASON},
            prefer="wait=0",
        )
        funding = answer.json()["id"]
        await reaches(asks, funding, "in_review")
        path = f"/v1/admin/transfers/{funding}/decisions"
        early = await approves.post(path, {"ruling": "approve", "reason": REASON})
        assert (early.status_code, early.json()["code"]) == (403, "role_too_young")
        assert (await approves.post(path, {"ruling": "reject", "reason": REASON})).status_code in (200, 201, 202)
        await reaches(asks, funding, "failed")


async def test_staff_do_not_fund_their_own_account_the_systems_or_one_that_does_not_exist(
    operator: Person, admin: Person, ben: Person
) -> None:
    own = await fund(operator, operator, 100)
    assert (own.status_code, own.json()["code"]) == (403, "conflict_of_interest")
    system = (await fund(operator, ben, 100)).json()["source_account_id"]
    for action, body in (("close", {}), ("tier", {"tier": 2})):
        refused = await admin.post(f"/v1/admin/accounts/{system}/{action}", body | {"reason": REASON})
        assert (refused.status_code, refused.json()["code"]) == (409, "account_of_system"), action
    circle = await fund(operator, ben, 100, account_id=system)
    assert (circle.status_code, circle.json()["code"]) == (409, "account_of_system")
    nobody = await fund(operator, ben, 100, account_id="acc_" + "a" * 26)
    assert (nobody.status_code, nobody.json()["code"]) == (404, "account_not_found")
    customer = await fund(ben, operator, 100)
    assert (customer.status_code, customer.json()["code"]) == (403, "forbidden")


async def test_a_frozen_funding_account_funds_nobody_and_a_refused_credit_returns_to_it(
    operator: Person, admin: Person, ben: Person, owner: Connection
) -> None:
    system = (await fund(operator, ben, 100)).json()["source_account_id"]
    why = {"reason": REASON}
    await admin.post(f"/v1/admin/accounts/{system}/freeze", why | {"frozen": "debits"})
    failed = (await fund(operator, ben, 100)).json()
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "account_frozen")
    await admin.post(f"/v1/admin/accounts/{system}/unfreeze", why)
    mine = await operator.post(f"/v1/transfers/{failed['id']}/retry", {})
    assert (mine.status_code, mine.json()["code"]) == (403, "forbidden")
    retried = await admin.post(f"/v1/admin/transfers/{failed['id']}/retry", why)
    assert retried.json()["state"] == "completed"
    assert await owner.fetchval(BALANCE, SYSTEM_CUSTOMER, "USD") == -200


async def test_nobody_takes_money_from_the_systems_account_as_a_customer(operator: Person, ben: Person) -> None:
    system = (await fund(operator, ben, 100)).json()["source_account_id"]
    taken = await ben.post(
        "/v1/transfers",
        {"source_account_id": system, "destination_account_id": ben.account_id, "amount": 1, "currency": "USD"},
    )
    assert (taken.status_code, taken.json()["code"]) == (404, "account_not_found")


async def test_the_systems_customer_never_changes_and_is_nobody_to_staff(
    owner: Connection, admin: Person, http: httpx.AsyncClient
) -> None:
    for change in ("UPDATE customers SET full_name = 'Eve' WHERE id = $1", "DELETE FROM customers WHERE id = $1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never changes"):
            await owner.execute(change, SYSTEM_CUSTOMER)
    role = await admin.post(f"/v1/admin/customers/{SYSTEM_CUSTOMER}/role", {"role": "customer", "reason": REASON})
    assert (role.status_code, role.json()["code"]) == (404, "customer_not_found")
    listed = (await admin.get("/v1/admin/customers")).json()["items"]
    assert SYSTEM_CUSTOMER not in {each["id"] for each in listed}
    signed_in = await http.post("/v1/auth/login", json={"email": "system@remit.invalid", "password": "!"})
    assert signed_in.status_code == 401
