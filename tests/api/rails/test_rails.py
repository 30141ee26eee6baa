"""Rails: deposits and withdrawals by an admin's API key, for any account but their own."""

import hashlib
import secrets
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ledger.ids import WORLD
from tests.api.people import PASSWORD, Person
from tests.connections import Connection


@pytest.fixture
async def rail(admin: Person) -> Person:
    made = await admin.post("/v1/auth/api-keys", {"name": "Bank", "scopes": ["rails:write"], "password": PASSWORD})
    assert made.status_code == 201, made.text
    return replace(admin, token=made.json()["key"])


async def move(
    rail: Person, what: str, person: Person, amount: int, key: str | None = None, **changes: Any
) -> httpx.Response:
    body = {
        "account_id": person.account_id,
        "amount": amount,
        "currency": "USD",
        "transaction_id": secrets.token_hex(8),
    }
    return await rail.post(f"/v1/rails/{what}", body | changes, key)


def answered(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def balance(person: Person) -> int:
    return int((await person.get(f"/v1/accounts/{person.account_id}")).json()["balance"])


async def test_a_rail_deposits_and_withdraws_and_the_owner_reads_it(rail: Person, ben: Person) -> None:
    number = (await ben.get(f"/v1/accounts/{ben.account_id}")).json()["number"]
    paid_in = await move(rail, "deposits", ben, 900, account_id=number)
    assert (paid_in.status_code, paid_in.json()["kind"], paid_in.json()["state"]) == (201, "deposit", "completed")
    assert (paid_in.json()["source_account_id"], paid_in.json()["workflow_id"]) == (WORLD, None)
    paid_out = await move(rail, "withdrawals", ben, 300)
    assert (paid_out.json()["kind"], paid_out.json()["state"]) == ("withdrawal", "completed")
    too_much = await move(rail, "withdrawals", ben, 601)
    assert too_much.json()["failure"]["code"] == "insufficient_funds"
    assert await balance(ben) == 600
    mine = await ben.get(f"/v1/transfers/{paid_in.json()['id']}")
    assert (mine.status_code, mine.json()["transaction_id"]) == (200, paid_in.json()["transaction_id"])


async def test_a_repeated_movement_of_a_rail_moves_money_once(rail: Person, ada: Person, ben: Person) -> None:
    key, reference = secrets.token_hex(8), "bank-2026-11-0042"
    first = await move(rail, "deposits", ben, 900, key, transaction_id=reference)
    repeat = await move(rail, "deposits", ben, 900, key, transaction_id=reference)
    assert (repeat.json()["id"], repeat.headers["Idempotent-Replayed"]) == (first.json()["id"], "true")
    by_reference = await move(rail, "deposits", ben, 900, transaction_id=reference)
    assert by_reference.json()["id"] == first.json()["id"]
    assert answered(await move(rail, "deposits", ben, 901, transaction_id=reference)) == (422, "transaction_id_reused")
    # The same key for another account is another request.
    assert answered(await move(rail, "deposits", ada, 900, key)) == (422, "idempotency_key_reused")
    assert await balance(ben) == 900


async def test_a_customer_cannot_take_the_key_of_a_movement_that_a_rail_will_make(
    rail: Person, ada: Person, ben: Person
) -> None:
    await move(rail, "deposits", ben, 900)
    reserved = f"rail/{rail.id}/{hashlib.sha256(b'card-0042').hexdigest()[:40]}"
    for key in (reserved, f'"{reserved}"'):
        assert answered(await ben.pay(ada, 100, key=key)) == (400, "idempotency_key_invalid")
    assert (await move(rail, "withdrawals", ben, 300, "card-0042")).json()["state"] == "completed"


async def test_only_an_admin_makes_a_rails_key_and_it_ends_with_their_role(
    rail: Person, admin: Person, operator: Person, ben: Person, owner: Connection
) -> None:
    for person in (operator, ben):
        refused = await person.post(
            "/v1/auth/api-keys", {"name": "Bank", "scopes": ["rails:write"], "password": PASSWORD}
        )
        assert answered(refused) == (403, "forbidden")
    assert (await move(rail, "deposits", ben, 1)).status_code == 201
    await owner.execute("UPDATE customers SET role = 'operator' WHERE id = $1", admin.id)
    assert answered(await move(rail, "deposits", ben, 1)) == (403, "scope_missing")
    await owner.execute("UPDATE customers SET role = 'admin' WHERE id = $1", admin.id)


async def test_nobody_who_is_signed_in_moves_money_as_a_rail(admin: Person, ada: Person, ben: Person) -> None:
    for person in (admin, ada):
        assert answered(await move(person, "deposits", ben, 1)) == (403, "forbidden")
    key = await ada.post("/v1/auth/api-keys", {"name": "Shop", "scopes": ["transfers:write"], "password": PASSWORD})
    assert answered(await move(replace(ada, token=key.json()["key"]), "deposits", ben, 1)) == (403, "scope_missing")


async def test_a_rail_leaves_its_admins_account_and_the_systems_money_alone(
    rail: Person, operator: Person, admin: Person, ben: Person
) -> None:
    assert answered(await move(rail, "deposits", admin, 1)) == (403, "conflict_of_interest")
    body = {"account_id": ben.account_id, "amount": 5, "currency": "USD", "reason": "Welcome"}
    system = (await operator.post("/v1/admin/fundings", body)).json()["source_account_id"]
    assert answered(await move(rail, "withdrawals", ben, 1, account_id=system)) == (409, "account_of_system")
    covered = await move(rail, "deposits", ben, 5, account_id=system)
    assert covered.json()["state"] == "completed"
    assert answered(await move(rail, "deposits", ben, 1, account_id="acc_" + "a" * 26)) == (404, "account_not_found")
    assert answered(await move(rail, "deposits", ben, 1, account_id="RM04404040404040")) == (404, "payee_not_found")
